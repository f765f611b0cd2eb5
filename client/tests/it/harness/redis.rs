//! A redis-server.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Recipe, Service, free_port};

/// A redis-server of one test, without a copy of its data on the disk.
pub struct Redis {
    pub port: u16,
    pub service: Service,
}

impl Redis {
    pub fn start(folder: &Path) -> Redis {
        let port = free_port();
        let args = format!(
            "--port {port} --bind 127.0.0.1 --appendonly no --loglevel warning --maxmemory-policy noeviction"
        );
        let mut args: Vec<String> = args.split(' ').map(str::to_owned).collect();
        args.extend(["--save".to_owned(), String::new()]);
        let mut service = Service::start(Recipe {
            name: "redis".to_owned(),
            program: PathBuf::from("redis-server"),
            args,
            env: vec![("PATH".to_owned(), std::env::var("PATH").unwrap())],
            folder: folder.to_owned(),
        });
        service.answers_at(port);
        Redis { port, service }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Sends one command and returns the first line of the answer.
    pub fn command(&self, command: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        write!(stream, "{command}\r\n").unwrap();
        let mut answer = vec![0; 1 << 16];
        let read = stream.read(&mut answer).unwrap();
        let text = String::from_utf8_lossy(&answer[..read]).into_owned();
        text.lines().next().unwrap_or_default().to_owned()
    }
}
