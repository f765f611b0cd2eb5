//! A go command of some release, and the surroundings in which both sides use it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use gofarm_bench::process::{Process, path_behind};

/// A Go release as it is installed.
#[derive(Debug, Clone)]
pub struct Release {
    /// Its go command, absolute.
    pub go: PathBuf,
    /// Its GOROOT.
    pub goroot: PathBuf,
    /// `go1.27.3`.
    pub version: String,
    /// The user's module cache.
    pub module_cache: PathBuf,
}

impl Release {
    /// Asks a go command what it is.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn find(go: &Path) -> anyhow::Result<Release> {
        let named = match go.components().count() {
            1 => go.to_owned(),
            _ => std::path::absolute(go).with_context(|| format!("--go {}", go.display()))?,
        };
        let mut ask =
            Process::new(named, Path::new(".")).args(["env", "GOROOT", "GOVERSION", "GOMODCACHE"]);
        ask.env.push(("GOTOOLCHAIN".into(), Some("local".into())));
        // Of no flags, and not of those in the user's settings, either: `go env` has some that change what it does.
        ask.env.push(("GOFLAGS".into(), Some(" ".into())));
        let answer = ask
            .run()
            .context("gofarm-corpus needs a go command; install Go or name one with --go")?;
        match answer.stdout.lines().collect::<Vec<_>>()[..] {
            [goroot, version, module_cache] => Ok(Release {
                go: Path::new(goroot).join("bin/go"),
                goroot: goroot.into(),
                // What follows names experiments of this very toolchain.
                version: version.split(' ').next().unwrap_or(version).to_owned(),
                module_cache: module_cache.into(),
            }),
            _ => bail!(
                "{} env printed no GOROOT: {:?}",
                go.display(),
                answer.stdout
            ),
        }
    }

    /// A program in a folder, with caches below `caches` and nothing of the user's settings but for the proxy and the module
    /// cache.
    ///
    /// # Errors
    /// See [`path_behind`].
    pub fn process(&self, program: &Path, folder: &Path, caches: &Path) -> anyhow::Result<Process> {
        let mut process = Process::new(program, folder);
        // Variables that change what is built, or where, would make every user's run another one.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            let ours = text.starts_with("GOFARM_") || text.starts_with("CGO_");
            let choice = [
                "GOFLAGS",
                "GOWORK",
                "GOOS",
                "GOARCH",
                "GOAMD64",
                "GOARM64",
                "GOEXPERIMENT",
                "GODEBUG",
                "GOROOT",
                "CC",
                "CXX",
            ];
            if ours || choice.contains(&&*text) {
                process.env.push((name, None));
            }
        }
        let set: [(&str, OsString); 7] = [
            ("PATH", path_behind(self.goroot.join("bin"))?),
            ("GOCACHE", caches.join("gocache").into()),
            ("GOMODCACHE", self.module_cache.clone().into()),
            ("GOFARM_CACHE_DIR", caches.join("farm").into()),
            ("TMPDIR", caches.join("tmp").into()),
            ("GOENV", "off".into()),
            ("GOTOOLCHAIN", "local".into()),
        ];
        process
            .env
            .extend(set.map(|(name, value)| (name.into(), Some(value))));
        Ok(process)
    }
}
