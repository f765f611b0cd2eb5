//! Programs that the tests run.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// How a program ended.
pub struct Ended {
    pub ok: bool,
    pub stdout: String,
    /// Both, for messages.
    pub all: String,
}

/// A command that inherits this process's environment.
#[allow(clippy::disallowed_methods, reason = "the one wrapper of these tests")]
pub fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub fn run(mut command: Command) -> Ended {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    ended(output)
}

/// Runs it to its end, with a text on its standard input.
pub fn run_with_input(mut command: Command, input: &str) -> Ended {
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // The tools read everything before they write.
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    ended(child.wait_with_output().unwrap())
}

fn ended(output: std::process::Output) -> Ended {
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    Ended {
        ok: output.status.success(),
        all: format!("{stdout}{stderr}"),
        stdout,
    }
}
