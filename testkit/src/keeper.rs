//! A server that ends with whoever started it.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Starts the server in the background, says its process id, and kills it at the end of the input: that comes however
/// the process ends that holds the other side of the pipe.
const KEEPER: &str = r#""$@" >"$0" 2>&1 & echo $!; read -r _; kill -9 $!; wait $!"#;

/// A running server. Killed when it is dropped, and when this process ends.
#[derive(Debug)]
pub(crate) struct Keeper {
    shell: Child,
    pid: String,
    log: PathBuf,
}

impl Keeper {
    /// Starts a program in a folder; what it says goes to `log` there.
    pub(crate) fn start(folder: &Path, program: &[&str], env: &[(&str, &str)]) -> Keeper {
        let log = folder.join("log");
        #[allow(clippy::disallowed_methods, reason = "servers of tests start here")]
        let shell = Command::new("sh")
            .args(["-c", KEEPER])
            .arg(&log)
            .args(program)
            .envs(env.iter().copied())
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // That it killed the server.
            .stderr(Stdio::null())
            .spawn();
        let mut shell = shell.expect("sh");
        let output = shell.stdout.take().expect("piped");
        let mut line = String::new();
        // One line; the server itself writes to its log.
        BufReader::new(output.take(32))
            .read_line(&mut line)
            .expect("a process id");
        let pid = line.trim().to_owned();
        Keeper { shell, pid, log }
    }

    /// Whether the server has ended by itself; its shell has not looked yet.
    pub(crate) fn has_ended(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        // The state stands behind the name, which is in brackets and may hold anything.
        let state = stat
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.chars().next());
        !matches!(state, Some(state) if state != 'Z' && state != 'X')
    }

    /// What it has said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends it a signal by its short name.
    pub(crate) fn signal(&self, name: &str) {
        #[allow(clippy::disallowed_methods, reason = "a tool of the test")]
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.pid])
            .status();
        assert!(sent.expect("kill").success());
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // It has ended by itself otherwise.
        let _ = self.shell.wait();
    }
}
