//! A redis-server of one's own, gone when its handle is.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Starts the server in the background, says its process id, and kills it at the end of the input: that comes however
/// the process ends that holds the other side of the pipe.
const KEEPER: &str = r#"redis-server "$@" >"$0" 2>&1 & echo $!; read -r _; kill -9 $!; wait $!"#;

/// A running redis-server with its own folder, on a socket in it.
pub struct RedisServer {
    folder: tempfile::TempDir,
    keeper: Child,
    pid: String,
}

impl RedisServer {
    /// Starts one and waits until it answers.
    pub fn start() -> RedisServer {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (keeper, pid) = launch(folder.path().into());
        let server = RedisServer {
            folder,
            keeper,
            pid,
        };
        server.wait();
        server
    }

    /// Where to connect to.
    pub fn url(&self, database: u32) -> String {
        format!("unix://{}?db={database}", self.socket().display())
    }

    /// A connection of the test's own.
    pub fn connection(&self, database: u32) -> redis::Connection {
        let client = redis::Client::open(self.url(database)).expect("a URL");
        client.get_connection().expect("a connection")
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    fn wait(&self) {
        let begin = Instant::now();
        let client = redis::Client::open(self.url(0)).expect("a URL");
        loop {
            let answer = client.get_connection();
            if answer.is_ok_and(|mut c| redis::cmd("PING").exec(&mut c).is_ok()) {
                return;
            }
            let log = std::fs::read_to_string(self.folder.path().join("log"));
            assert!(
                begin.elapsed() < Duration::from_secs(10),
                "redis-server does not answer; is it installed? {log:?}"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends it a signal: `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        #[allow(clippy::disallowed_methods, reason = "a tool of the test")]
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.pid])
            .status();
        assert!(sent.expect("kill").success());
    }

    /// Kills it with what it holds in memory, and starts it with what it has on disk.
    pub fn kill_and_restart(&mut self) {
        self.kill();
        (self.keeper, self.pid) = launch(self.folder.path().into());
        self.wait();
    }

    /// Kills it; all that it had saved is lost as well.
    pub fn kill_and_restart_empty(&mut self) {
        self.kill();
        // Not there if nothing was saved.
        let _ = std::fs::remove_file(self.folder.path().join("dump.rdb"));
        (self.keeper, self.pid) = launch(self.folder.path().into());
        self.wait();
    }

    fn kill(&mut self) {
        drop(self.keeper.stdin.take());
        // It has ended by itself otherwise.
        let _ = self.keeper.wait();
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn launch(folder: PathBuf) -> (Child, String) {
    let socket = folder.join("redis.sock");
    #[allow(clippy::disallowed_methods, reason = "a server of the test")]
    let keeper = Command::new("sh")
        .args(["-c", KEEPER])
        .arg(folder.join("log"))
        .args(["--port", "0", "--save", "", "--databases", "512"])
        .arg("--unixsocket")
        .arg(&socket)
        .arg("--dir")
        .arg(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // That it killed the server.
        .stderr(Stdio::null())
        .spawn();
    let mut keeper = keeper.expect("sh");
    let mut line = String::new();
    let output = keeper.stdout.take().expect("piped");
    // One line; the server itself writes to its log.
    BufReader::new(output.take(32))
        .read_line(&mut line)
        .expect("a process id");
    (keeper, line.trim().to_owned())
}
