//! The program itself, as a process.

use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStderr, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A worker with one slot and no C compiler. Killed when it is dropped.
pub struct Worker {
    child: Child,
    said: Lines<BufReader<ChildStderr>>,
    log: Vec<String>,
}

impl Worker {
    pub fn with(server: &str, cache: &Path, more: &[&str], env: &[(&str, &str)]) -> Worker {
        #[allow(clippy::disallowed_methods, reason = "the program under test")]
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_gofarm-worker"));
        command
            .args(["--server", server, "--cache-dir"])
            .arg(cache)
            .args(["--cache-size", "1GiB", "--memory", "1GiB", "--slots", "1"])
            .args(["--log-format", "json", "--cc", "none"])
            .args(more)
            .env_remove("GOFARM_TOKEN")
            .env_remove("GOFARM_TOKEN_FILE")
            .env_remove("RUST_LOG")
            .envs(env.iter().copied())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        Worker {
            child,
            said: BufReader::new(stderr).lines(),
            log: Vec::new(),
        }
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// Waits for a log line with this in it.
    pub async fn until_said(mut self, text: &'static str) -> Worker {
        tokio::task::spawn_blocking(move || {
            for line in &mut self.said {
                self.log.push(line.unwrap());
                if self.log.last().unwrap().contains(text) {
                    return self;
                }
            }
            panic!("it does not say {text:?}: {:?}", self.log);
        })
        .await
        .unwrap()
    }

    /// Exit code and log.
    pub async fn end(mut self) -> (Option<i32>, String) {
        tokio::task::spawn_blocking(move || {
            for line in self.said.by_ref() {
                self.log.push(line.unwrap());
            }
            (self.child.wait().unwrap().code(), self.log.join("\n"))
        })
        .await
        .unwrap()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
