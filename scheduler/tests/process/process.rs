//! A scheduler in a folder of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gofarm_proto::v1;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tonic::transport::Channel;

/// What has not happened by then does not happen.
pub const LIMIT: Duration = Duration::from_secs(20);

/// A scheduler with no environment but its PATH, whose home is `home`.
#[allow(clippy::disallowed_methods, reason = "the one wrapper of these tests")]
pub fn command(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gofarm-scheduler"));
    command.env_clear().env("HOME", home).current_dir(home);
    command
}

/// Runs one that does not come up: its exit code, and what it said.
pub fn refused(args: &[&str], env: &[(&str, &str)]) -> (i32, String) {
    let home = tempfile::tempdir().unwrap();
    let output = command(home.path())
        .args(args)
        .envs(env.iter().copied())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), said)
}

/// A running scheduler. Killed when it is dropped.
pub struct Scheduler {
    child: Child,
    pub grpc: String,
    pub http: String,
    pub log: Vec<String>,
    said: Arc<Mutex<Vec<String>>>,
    pub home: TempDir,
}

impl Scheduler {
    /// Starts one on free ports of the loopback interface, and waits until it serves.
    pub fn start(args: &[&str]) -> Scheduler {
        Scheduler::start_with(args, &[])
    }

    /// The same, with an environment.
    pub fn start_with(args: &[&str], env: &[(&str, &str)]) -> Scheduler {
        let home = tempfile::tempdir().unwrap();
        let mut child = command(home.path())
            .args([
                "--listen=127.0.0.1:0",
                "--http=127.0.0.1:0",
                "--log-format=json",
            ])
            .args(args)
            .envs(env.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = child.stderr.take().unwrap();
        let mut log = Vec::new();
        let mut lines = BufReader::new(stderr).lines();
        let serving = loop {
            let line = lines
                .next()
                .unwrap_or_else(|| panic!("it ended: {log:?}"))
                .unwrap();
            let said: serde_json::Value = serde_json::from_str(&line).unwrap();
            log.push(line);
            if said["message"] == "serving" {
                break said;
            }
        };
        // Read on, so that it never waits for somebody to read.
        let said: Arc<Mutex<Vec<String>>> = Arc::default();
        let to = said.clone();
        std::thread::spawn(move || {
            lines.for_each(|line| to.lock().unwrap().push(line.unwrap_or_default()));
        });
        Scheduler {
            child,
            grpc: serving["grpc"].as_str().unwrap().to_owned(),
            http: serving["http"].as_str().unwrap().to_owned(),
            log,
            said,
            home,
        }
    }

    /// Log lines since it serves that say this.
    pub fn said(&self, message: &str) -> Vec<serde_json::Value> {
        let said = self.said.lock().unwrap();
        let lines = said
            .iter()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines
            .filter(|line: &serde_json::Value| {
                let text = line["message"].as_str();
                text.is_some_and(|text| text.contains(message))
            })
            .collect()
    }

    /// Waits until it says this.
    pub fn until_said(&self, message: &str) {
        let begun = Instant::now();
        while self.said(message).is_empty() {
            assert!(begun.elapsed() < LIMIT, "it does not say {message:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A connection to its gRPC port.
    pub async fn channel(&self) -> Channel {
        let endpoint = Channel::from_shared(format!("http://{}", self.grpc)).unwrap();
        endpoint.connect().await.unwrap()
    }

    /// The status and the body at a path of the HTTP port.
    pub fn get(&self, path: &str, token: Option<&str>) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.http).unwrap();
        let token = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
        let token = token.unwrap_or_default();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{token}\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Waits until it has ended.
    pub fn wait(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < LIMIT, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A worker with room that waits so long for a task.
pub fn acquire(wait: Duration) -> v1::AcquireRequest {
    v1::AcquireRequest {
        worker: "w1".to_owned(),
        platforms: vec!["linux/amd64".to_owned()],
        slots: 2,
        free_slots: 2,
        total_memory: 1 << 30,
        free_memory: 1 << 30,
        wait_ms: wait.as_millis().try_into().unwrap(),
        ..v1::AcquireRequest::default()
    }
}
