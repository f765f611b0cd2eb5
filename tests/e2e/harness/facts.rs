//! What all tests share: the go command under test and two caches.
//!
//! Both caches stay between runs and may be used by any number of processes at once, so the standard library is compiled
//! once. Remove the folder `e2e` in cargo's `target/tmp` to begin cold.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::Site;

/// The same for every test of this process.
pub struct Facts {
    /// A cache folder of gofarm.
    pub cache: PathBuf,
    /// A GOCACHE.
    pub gocache: PathBuf,
    /// What the go command says of itself and of the module proxy.
    go_env: BTreeMap<String, String>,
    warm: OnceLock<()>,
}

/// Asks the go command on PATH, once.
pub fn facts() -> &'static Facts {
    static FACTS: OnceLock<Facts> = OnceLock::new();
    FACTS.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("e2e");
        let (cache, gocache) = (folder.join("gofarm"), folder.join("go"));
        fs::create_dir_all(&cache).unwrap();
        fs::create_dir_all(&gocache).unwrap();
        #[allow(
            clippy::disallowed_methods,
            reason = "a question to the go command, in the foreground"
        )]
        let output = Command::new("go")
            .args(["env", "-json"])
            .env("GOTOOLCHAIN", "local")
            .env("GOFLAGS", " ")
            .output()
            .expect("these tests need a go command on PATH");
        Facts {
            cache,
            gocache,
            go_env: serde_json::from_slice(&output.stdout).unwrap(),
            warm: OnceLock::new(),
        }
    })
}

impl Facts {
    /// A variable of `go env`.
    pub fn go(&self, name: &str) -> &str {
        self.go_env.get(name).map_or("", String::as_str)
    }

    /// Makes sure that both caches hold what the example needs. Whoever comes first does it, and all others wait: side by
    /// side they would each compile the standard library.
    pub fn warm(&self) {
        self.warm.get_or_init(|| {
            let lock = File::create(self.cache.with_file_name("warm.lock")).unwrap();
            lock.lock().unwrap();
            let site = Site::cold();
            site.example("monorepo");
            site.gofarm(&["submit", "./..."]).run().ok();
            site.go(&["build", "-trimpath", "./internal/..."])
                .run()
                .ok();
        });
    }
}

/// The folder `examples` of the repository.
pub fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}
