//! An S3 server of its own for each test: versitygw over a folder, whose files are the objects.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub const BUCKET: &str = "farm";

/// The variable that names the server's program, where it is not on PATH.
const PROGRAM: &str = "GOFARM_TEST_S3_SERVER";

const KEY: &str = "gofarm";
const SECRET: &str = "gofarm-secret";

pub struct S3 {
    folder: TempDir,
    port: u16,
    server: Option<Child>,
}

impl S3 {
    pub fn start() -> S3 {
        let folder = tempfile::tempdir().unwrap();
        for name in ["objects/farm", "attributes"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let mut s3 = S3 {
            folder,
            port: 0,
            server: None,
        };
        // Between choosing a port and binding it, somebody else may take it.
        for _ in 0..5 {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            s3.port = free.local_addr().unwrap().port();
            drop(free);
            if s3.resume() {
                return s3;
            }
        }
        panic!("the S3 server does not start: {}", s3.log());
    }

    /// Starts the server again, on the same port and folder.
    #[expect(clippy::disallowed_methods, reason = "a server that a test needs")]
    pub fn resume(&mut self) -> bool {
        let program = std::env::var_os(PROGRAM).unwrap_or_else(|| "versitygw".into());
        let log = fs::File::create(self.folder.path().join("log")).unwrap();
        let server = Command::new(&program)
            .args(["--quiet", "--port", &format!("127.0.0.1:{}", self.port)])
            .arg("--access-log")
            .arg(self.folder.path().join("requests"))
            .arg("posix")
            .arg("--sidecar")
            .arg(self.folder.path().join("attributes"))
            .arg(self.folder.path().join("objects"))
            .env("ROOT_ACCESS_KEY_ID", KEY)
            .env("ROOT_SECRET_ACCESS_KEY", SECRET)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        let mut server = server.unwrap_or_else(|e| {
            panic!(
                "these tests need an S3 server: {program:?}: {e}; \
                 run ./test, which installs versitygw, or name it with {PROGRAM}"
            )
        });
        let patience = Instant::now() + Duration::from_secs(20);
        while Instant::now() < patience && server.try_wait().unwrap().is_none() {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                self.server = Some(server);
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = server.kill();
        server.wait().unwrap();
        false
    }

    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn credentials() -> [(&'static str, &'static str); 3] {
        [
            ("aws_access_key_id", KEY),
            ("aws_secret_access_key", SECRET),
            ("aws_region", "us-east-1"),
        ]
    }

    /// The file that an object is.
    pub fn object(&self, name: &str) -> PathBuf {
        self.folder.path().join("objects").join(BUCKET).join(name)
    }

    /// The names below a folder of the bucket.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.object(folder)) else {
            return Vec::new();
        };
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    /// How many requests the server has answered that mention all of this.
    pub fn requests(&self, mentions: &[&str]) -> usize {
        let log = fs::read_to_string(self.folder.path().join("requests")).unwrap();
        log.lines()
            .filter(|line| mentions.iter().all(|word| line.contains(word)))
            .count()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Changes the object's bytes behind the server's back.
pub fn overwrite(object: &Path, content: &[u8]) {
    assert!(object.exists(), "{} is no object", object.display());
    fs::write(object, content).unwrap();
}
