//! An S3 server of one's own: versitygw over a folder, whose files are the objects.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::free_port;
use crate::keeper::Keeper;

/// The one bucket of the server.
pub const BUCKET: &str = "farm";

/// The variable that names the server's program, where it is not on PATH.
const PROGRAM: &str = "GOFARM_TEST_S3_SERVER";
/// On a busy machine, too, it answers sooner.
const LIMIT: Duration = Duration::from_secs(60);
/// Between choosing a port and listening there, somebody else may take it.
const TRIES: usize = 5;

const KEY: &str = "gofarm";
const SECRET: &str = "gofarm-secret";

/// versitygw with one bucket, [`BUCKET`].
#[derive(Debug)]
pub struct S3Server {
    // Before its folder.
    server: Option<Keeper>,
    port: u16,
    folder: TempDir,
}

impl S3Server {
    /// Starts one, and waits until it answers.
    pub fn start() -> S3Server {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in [&format!("objects/{BUCKET}"), "attributes"] {
            fs::create_dir_all(folder.path().join(name)).expect("a folder of the server");
        }
        let mut s3 = S3Server {
            server: None,
            port: 0,
            folder,
        };
        for _ in 0..TRIES {
            s3.port = free_port();
            if s3.resume() {
                return s3;
            }
        }
        let log = fs::read_to_string(s3.folder.path().join("log"));
        panic!(
            "the S3 server does not start; run ./test, which installs versitygw, or name it with {PROGRAM}: {}",
            log.unwrap_or_default()
        );
    }

    /// Starts the server again, on the same port and folder. False when it ended before it answered.
    pub fn resume(&mut self) -> bool {
        let program = std::env::var(PROGRAM).unwrap_or_else(|_| "versitygw".to_owned());
        let address = format!("127.0.0.1:{}", self.port);
        // It changes its working folder.
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let (requests, attributes, objects) =
            (path("requests"), path("attributes"), path("objects"));
        let args = [
            &program,
            "--quiet",
            "--port",
            &address,
            "--access-log",
            &requests,
            "posix",
            "--sidecar",
            &attributes,
            &objects,
        ];
        let env = [
            ("ROOT_ACCESS_KEY_ID", KEY),
            ("ROOT_SECRET_ACCESS_KEY", SECRET),
        ];
        let server = Keeper::start(self.folder.path(), &args, &env);
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if server.has_ended() {
                return false;
            }
            assert!(
                begun.elapsed() < LIMIT,
                "the S3 server does not answer: {}",
                server.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        self.server = Some(server);
        true
    }

    /// Kills it; the objects stay.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// Where it is reached.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Who may use it, as settings of an object store.
    pub fn credentials() -> [(&'static str, &'static str); 3] {
        [
            ("aws_access_key_id", KEY),
            ("aws_secret_access_key", SECRET),
            ("aws_region", "us-east-1"),
        ]
    }

    /// What reaches it, as environment of a program.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ACCESS_KEY_ID", KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ENDPOINT", self.endpoint()),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
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
            .map(|entry| entry.expect("an entry of the bucket").file_name())
            .map(|name| name.into_string().expect("a name of text"))
            .collect()
    }

    /// How many requests the server has answered that mention all of this.
    pub fn requests(&self, mentions: &[&str]) -> usize {
        let log = fs::read_to_string(self.folder.path().join("requests")).expect("a log");
        log.lines()
            .filter(|line| mentions.iter().all(|word| line.contains(word)))
            .count()
    }
}

/// Changes an object's bytes behind the server's back.
pub fn overwrite(object: &Path, content: &[u8]) {
    assert!(object.exists(), "{} is no object", object.display());
    fs::write(object, content).expect("an object that can be written");
}
