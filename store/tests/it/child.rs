//! Real other processes: this test program again, playing one role of one test.

use std::env;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

const ROLE: &str = "GOFARM_STORE_TEST_ROLE";
const FOLDER: &str = "GOFARM_STORE_TEST_FOLDER";

/// The folder to play the role in, if this process was started to play it.
pub fn plays(role: &str) -> Option<PathBuf> {
    if env::var_os(ROLE)? != OsStr::new(role) {
        return None;
    }
    Some(env::var_os(FOLDER).unwrap().into())
}

/// Tells [`Process::wait_for`] something. On stderr, which libtest leaves alone with `--nocapture`.
pub fn say(word: &str) {
    println!("\n:{word}");
}

/// The command that runs `test` (its full name) in this role, behind `wrapper` (a program and its arguments).
#[expect(
    clippy::disallowed_methods,
    reason = "a test starts itself again; no tool of a build is run"
)]
pub fn command(wrapper: &[&str], test: &str, role: &str, folder: &Path) -> Command {
    let program = env::current_exe().unwrap();
    let mut command = match wrapper {
        [] => Command::new(program),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
    };
    command
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env(FOLDER, folder);
    command
}

/// A process that is killed when the test is done with it.
pub struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Process {
    pub fn start(test: &str, role: &str, folder: &Path) -> Process {
        let mut child = command(&[], test, role, folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Process { child, output }
    }

    /// Waits until the process says this word.
    pub fn wait_for(&mut self, word: &str) {
        let expected = format!(":{word}\n");
        let mut line = String::new();
        while line != expected {
            line.clear();
            let n = self.output.read_line(&mut line).unwrap();
            assert_ne!(n, 0, "the process ended before it said {word:?}");
        }
    }

    /// It has not come to an end by itself.
    #[track_caller]
    pub fn still_runs(&mut self) {
        assert!(
            self.child.try_wait().unwrap().is_none(),
            "the process ended"
        );
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn succeeds(mut self) {
        // Read to the end first, so that the process is not stopped by a full pipe.
        std::io::copy(&mut self.output, &mut std::io::sink()).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
