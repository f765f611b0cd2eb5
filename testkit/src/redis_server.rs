//! A redis-server of one's own, gone when its handle is.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::free_port;
use crate::keeper::Keeper;

/// On a busy machine, too, it answers sooner.
const LIMIT: Duration = Duration::from_secs(60);
/// Between choosing a port and listening there, somebody else may take it.
const TRIES: usize = 5;

/// Where it listens.
#[derive(Debug, Clone, Copy)]
enum Listen {
    /// On a socket in its folder.
    Socket,
    /// On a port of the loopback interface.
    Port(u16),
    /// There, by TLS alone.
    Tls(u16),
}

/// A redis-server with a folder of its own. It saves nothing.
#[derive(Debug)]
pub struct RedisServer {
    // Before its folder.
    server: Option<Keeper>,
    listen: Listen,
    folder: TempDir,
}

impl RedisServer {
    /// One on a socket, which nobody else can have taken. Waits until it answers.
    pub fn start() -> RedisServer {
        RedisServer::listening(|| Listen::Socket, &[])
    }

    /// One on a port of the loopback interface, for programs that are told a host.
    pub fn on_port() -> RedisServer {
        RedisServer::listening(|| Listen::Port(free_port()), &[])
    }

    /// One that is spoken to by TLS alone, at `localhost`, with this certificate and its key (PEM).
    pub fn with_tls(certificate: &str, key: &str) -> RedisServer {
        let files = [("cert.pem", certificate), ("key.pem", key)];
        RedisServer::listening(|| Listen::Tls(free_port()), &files)
    }

    fn listening(listen: impl Fn() -> Listen, files: &[(&str, &str)]) -> RedisServer {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in files {
            fs::write(folder.path().join(name), text).expect("a file of the server");
        }
        let mut server = RedisServer {
            server: None,
            listen: listen(),
            folder,
        };
        for _ in 0..TRIES {
            server.listen = listen();
            if server.comes_up() {
                return server;
            }
        }
        panic!(
            "redis-server does not start; is it installed? {:?}",
            server.log()
        );
    }

    /// Where to connect to.
    pub fn url(&self, database: u32) -> String {
        match self.listen {
            Listen::Socket => format!("unix://{}?db={database}", self.socket().display()),
            Listen::Port(port) => format!("redis://127.0.0.1:{port}/{database}"),
            Listen::Tls(port) => format!("rediss://localhost:{port}/{database}"),
        }
    }

    /// The file with its certificate, for one that speaks TLS.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    /// A connection of the test's own. Not to one that speaks TLS.
    pub fn connection(&self, database: u32) -> redis::Connection {
        let client = redis::Client::open(self.url(database)).expect("a URL");
        client.get_connection().expect("a connection")
    }

    /// Sets how much memory it may use, bytes: with 1 there is none left, with 0 there is no bound. Not of one that speaks TLS.
    pub fn limit_memory(&self, bytes: u64) {
        redis::cmd("CONFIG")
            .arg("SET")
            .arg("maxmemory")
            .arg(bytes)
            .exec(&mut self.connection(0))
            .expect("a setting");
    }

    /// Sends a line as `redis-cli` would, and returns the first line of the answer as it was sent. Of one on a port.
    pub fn command(&self, line: &str) -> String {
        let Listen::Port(port) = self.listen else {
            panic!("{:?} is no port", self.listen);
        };
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
        stream
            .set_read_timeout(Some(LIMIT))
            .expect("a limit to wait");
        write!(stream, "{line}\r\n").expect("a command is taken");
        let mut answer = vec![0; 1 << 16];
        let read = stream.read(&mut answer).expect("an answer");
        let text = String::from_utf8_lossy(&answer[..read]).into_owned();
        text.lines().next().unwrap_or_default().to_owned()
    }

    /// Sends it a signal: `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        self.server.as_ref().expect("it runs").signal(name);
    }

    /// Kills it with what it holds in memory.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Starts it where it was, with what it has on disk. It must have been killed.
    pub fn start_again(&mut self) {
        assert!(self.server.is_none(), "redis-server still runs");
        assert!(
            self.comes_up(),
            "redis-server does not start again: {:?}",
            self.log()
        );
    }

    /// Kills it with what it holds in memory, and starts it with what it has on disk.
    pub fn kill_and_restart(&mut self) {
        self.kill();
        self.start_again();
    }

    /// Kills it; all that it had saved is lost as well.
    pub fn kill_and_restart_empty(&mut self) {
        self.kill();
        // Not there if nothing was saved.
        let _ = fs::remove_file(self.folder.path().join("dump.rdb"));
        self.start_again();
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Starts it; false when it ended before it answered.
    fn comes_up(&mut self) -> bool {
        let (socket, port) = (self.socket(), self.port().to_string());
        let socket = socket.to_str().expect("a path of text");
        let listen: &[&str] = match self.listen {
            Listen::Socket => &["--port", "0", "--unixsocket", socket],
            Listen::Port(_) => &["--port", &port, "--bind", "127.0.0.1"],
            Listen::Tls(_) => &[
                "--port",
                "0",
                "--tls-port",
                &port,
                "--bind",
                "127.0.0.1",
                "--tls-cert-file",
                "cert.pem",
                "--tls-key-file",
                "key.pem",
                "--tls-ca-cert-file",
                "cert.pem",
                "--tls-auth-clients",
                "no",
            ],
        };
        let always = ["redis-server", "--save", "", "--databases", "512"];
        let server = Keeper::start(self.folder.path(), &[&always[..], listen].concat(), &[]);
        let begun = Instant::now();
        while !self.answers() {
            if server.has_ended() {
                return false;
            }
            assert!(
                begun.elapsed() < LIMIT,
                "redis-server does not answer: {:?}",
                server.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        self.server = Some(server);
        true
    }

    fn port(&self) -> u16 {
        match self.listen {
            Listen::Socket => 0,
            Listen::Port(port) | Listen::Tls(port) => port,
        }
    }

    fn answers(&self) -> bool {
        if let Listen::Tls(port) = self.listen {
            return TcpStream::connect(("127.0.0.1", port)).is_ok();
        }
        let client = redis::Client::open(self.url(0)).expect("a URL");
        let answer = client.get_connection();
        answer.is_ok_and(|mut connection| redis::cmd("PING").exec(&mut connection).is_ok())
    }
}
