//! A command: how it is called, while it runs, and how it ended.

use std::fs::File;
use std::io::{PipeWriter, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Process;

/// A command that takes longer is killed and fails its test.
const LIMIT: Duration = Duration::from_secs(900);

/// A command that is about to run. It has no environment but what it is given.
pub struct Invocation {
    command: Command,
    /// Where its output is collected.
    folder: PathBuf,
}

impl Invocation {
    /// Output is collected in `folder`.
    pub fn new(program: &Path, args: &[&str], folder: &Path) -> Invocation {
        #[allow(clippy::disallowed_methods, reason = "the one wrapper of these tests")]
        let mut command = Command::new(program);
        command.args(args).env_clear().stdin(Stdio::null());
        Invocation {
            command,
            folder: folder.to_owned(),
        }
    }

    /// Sets a variable.
    pub fn env(mut self, name: &str, value: &str) -> Invocation {
        self.command.env(name, value);
        self
    }

    /// Sets the working folder.
    pub fn folder(mut self, folder: &Path) -> Invocation {
        self.command.current_dir(folder);
        self
    }

    /// Starts it. Output goes to files: a pipe would be kept open by what a command leaves behind.
    pub fn start(self) -> Running {
        let stderr = tempfile::tempfile_in(&self.folder).unwrap();
        let to = stderr.try_clone().unwrap();
        self.start_with(stderr, to)
    }

    /// Starts it, with a pipe for its stderr.
    pub fn start_saying(self, to: PipeWriter) -> Running {
        let nothing = tempfile::tempfile_in(&self.folder).unwrap();
        self.start_with(nothing, to)
    }

    fn start_with(mut self, stderr: File, to: impl Into<Stdio>) -> Running {
        let stdout = tempfile::tempfile_in(&self.folder).unwrap();
        self.command.stdout(stdout.try_clone().unwrap()).stderr(to);
        let child = self.command.spawn().unwrap();
        Running {
            child,
            stdout,
            stderr,
        }
    }

    /// Runs it to its end.
    pub fn run(self) -> Finished {
        self.start().wait()
    }
}

/// A command that runs.
pub struct Running {
    child: Child,
    stdout: File,
    stderr: File,
}

impl Running {
    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its process and all below it.
    pub fn family(&self) -> Vec<Process> {
        Process::family(self.child.id())
    }

    /// Waits until a process below this one runs a command line with words that end like this.
    ///
    /// # Panics
    /// When the command ends before.
    pub fn child_with(&mut self, words: &[&str]) -> Process {
        self.maybe_child_with(words)
            .unwrap_or_else(|| panic!("no {words:?} among the processes\n{}", text(&self.stderr)))
    }

    /// As [`child_with`](Running::child_with); nothing when the command ends before.
    pub fn maybe_child_with(&mut self, words: &[&str]) -> Option<Process> {
        let begun = Instant::now();
        loop {
            let found = self.family().into_iter().find(|process| {
                words
                    .iter()
                    .all(|word| process.args.iter().any(|arg| arg.ends_with(word)))
            });
            if found.is_some() {
                return found;
            }
            if self.child.try_wait().unwrap().is_some() || begun.elapsed() > LIMIT {
                return None;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Sends a signal to this process alone.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Finished {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if begun.elapsed() > LIMIT {
                self.child.kill().unwrap();
                self.child.wait().unwrap();
                panic!("still running after {LIMIT:?}:\n{}", text(&self.stderr));
            }
            thread::sleep(Duration::from_millis(3));
        };
        Finished {
            status,
            stdout: text(&self.stdout),
            stderr: text(&self.stderr),
        }
    }
}

fn text(mut file: &File) -> String {
    use std::io::Seek;
    file.rewind().unwrap();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

impl Drop for Running {
    fn drop(&mut self) {
        // A test that failed leaves nothing running.
        if thread::panicking() {
            let _ = (self.child.kill(), self.child.wait());
        }
    }
}

/// A command that has ended.
#[derive(Debug)]
pub struct Finished {
    /// How.
    pub status: ExitStatus,
    /// All that it wrote.
    pub stdout: String,
    /// All that it wrote.
    pub stderr: String,
}

impl Finished {
    /// It must have succeeded.
    #[track_caller]
    pub fn ok(self) -> Finished {
        self.code(0)
    }

    /// It must have ended with this exit code.
    #[track_caller]
    pub fn code(self, code: i32) -> Finished {
        assert_eq!(
            self.status.code(),
            Some(code),
            "{}\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// What it said on stderr but for gofarm's own lines.
    pub fn diagnostics(&self) -> String {
        self.stderr
            .lines()
            .filter(|line| !line.starts_with("gofarm: "))
            .map(|line| format!("{line}\n"))
            .collect()
    }
}
