//! A process that serves until it is stopped.

use std::fs::{self, File};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{PATIENCE, Process, eventually};

/// How a service is called. It has no environment but what it is given.
#[derive(Clone)]
pub struct Recipe {
    /// For messages, and the name of its log.
    pub name: String,
    pub program: PathBuf,
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
    /// Where it stands and logs.
    pub folder: PathBuf,
}

/// A running service. Killed when it is dropped.
pub struct Service {
    recipe: Recipe,
    child: Option<Child>,
}

impl Service {
    pub fn start(recipe: Recipe) -> Service {
        let mut service = Service {
            recipe,
            child: None,
        };
        service.start_again();
        service
    }

    /// Starts it once more, with the same arguments, after it has ended.
    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "{} still runs", self.recipe.name);
        let recipe = &self.recipe;
        fs::create_dir_all(&recipe.folder).unwrap();
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_file())
            .unwrap();
        #[allow(clippy::disallowed_methods, reason = "the one wrapper of services")]
        let child = Command::new(&recipe.program)
            .args(&recipe.args)
            .env_clear()
            .envs(recipe.env.iter().cloned())
            .current_dir(&recipe.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        let child = child.unwrap_or_else(|error| {
            panic!(
                "{}: {error}; ./test builds and installs all programs",
                recipe.program.display()
            )
        });
        self.child = Some(child);
    }

    fn log_file(&self) -> PathBuf {
        self.recipe.folder.join(format!("{}.log", self.recipe.name))
    }

    /// What it has said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap()
    }

    /// The lines that it has said with all these words in them.
    pub fn lines_with(&self, words: &[&str]) -> Vec<String> {
        let log = self.log();
        let lines = log.lines();
        lines
            .filter(|line| words.iter().all(|word| line.contains(word)))
            .map(str::to_owned)
            .collect()
    }

    /// The first line with all these words; waits for one.
    #[track_caller]
    pub fn says(&self, words: &[&str]) -> String {
        eventually(
            || format!("{} does not say {words:?}", self.recipe.name),
            || self.lines_with(words).into_iter().next(),
        )
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Its process and all below it.
    pub fn family(&self) -> Vec<Process> {
        Process::family(self.pid())
    }

    /// A process below it with words that end like this, if there is one now.
    pub fn child_with(&self, words: &[&str]) -> Option<Process> {
        self.child.as_ref()?;
        self.family().into_iter().find(|process| {
            words
                .iter()
                .all(|word| process.args.iter().any(|arg| arg.ends_with(word)))
        })
    }

    /// As [`child_with`](Service::child_with); waits for one.
    #[track_caller]
    pub fn runs(&self, words: &[&str]) -> Process {
        eventually(
            || format!("{} does not run {words:?}", self.recipe.name),
            || self.child_with(words),
        )
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid() as i32), signal).unwrap();
    }

    /// Kills it and waits until it is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Also one that is stopped.
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Waits until it has ended.
    pub fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        let begun = Instant::now();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            if begun.elapsed() > PATIENCE {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("{} did not end: {}", self.recipe.name, self.log());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until somebody answers at its port.
    pub fn answers_at(&mut self, port: u16) {
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(
                ended.is_none() && begun.elapsed() < PATIENCE,
                "{} does not come up ({ended:?}): {}",
                self.recipe.name,
                self.log()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if thread::panicking() && self.child.is_some() {
            let log = fs::read_to_string(self.log_file()).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(40)..].join("\n");
            eprintln!("----- {} -----\n{last}", self.recipe.name);
        }
        self.kill();
    }
}
