//! The processes of this machine, as /proc has them.

use std::collections::HashSet;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// One process. Its number may come to mean another one; with the time of its start it does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pid: i32,
    started: u64,
    /// The command line.
    pub args: Vec<String>,
}

impl Process {
    fn of(pid: i32) -> Option<(Process, i32)> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field, in brackets, may hold anything.
        let fields: Vec<&str> = stat[stat.rfind(')')? + 2..].split(' ').collect();
        // A zombie runs nothing any more.
        if fields[0] == "Z" || fields[0] == "X" {
            return None;
        }
        let args = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let process = Process {
            pid,
            started: fields[19].parse().ok()?,
            args: args
                .split(|&b| b == 0)
                .map(|arg| String::from_utf8_lossy(arg).into_owned())
                .collect(),
        };
        Some((process, fields[1].parse().ok()?))
    }

    /// A process and all below it.
    pub fn family(root: u32) -> Vec<Process> {
        let all: Vec<(Process, i32)> = all().filter_map(Process::of).collect();
        let mut pids = HashSet::from([root as i32]);
        loop {
            let before = pids.len();
            pids.extend(
                all.iter()
                    .filter(|(_, parent)| pids.contains(parent))
                    .map(|(child, _)| child.pid)
                    .collect::<Vec<_>>(),
            );
            if pids.len() == before {
                break;
            }
        }
        all.into_iter()
            .map(|(process, _)| process)
            .filter(|process| pids.contains(&process.pid))
            .collect()
    }

    /// Kills it.
    pub fn kill(&self) {
        kill(Pid::from_raw(self.pid), Signal::SIGKILL).unwrap();
    }

    fn is_alive(&self) -> bool {
        Process::of(self.pid).is_some_and(|(now, _)| now.started == self.started)
    }

    /// Fails unless it ends within a few seconds.
    #[track_caller]
    pub fn assert_gone(&self) {
        let begun = Instant::now();
        while self.is_alive() {
            assert!(
                begun.elapsed() < Duration::from_secs(10),
                "still there: {self:?}"
            );
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn all() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// Processes whose command line, environment or working folder names a text; waits a moment for them to end.
pub fn mentioning(text: &str) -> Vec<Process> {
    let begun = Instant::now();
    loop {
        let found: Vec<Process> = all()
            .filter(|&pid| pid != std::process::id() as i32)
            .filter(|pid| {
                let has = |file: &str| {
                    let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
                    memchr::memmem::find(&bytes, text.as_bytes()).is_some()
                };
                let folder = fs::read_link(format!("/proc/{pid}/cwd"));
                has("cmdline")
                    || has("environ")
                    || folder.is_ok_and(|folder| folder.starts_with(text))
            })
            .filter_map(|pid| Process::of(pid).map(|(process, _)| process))
            .collect();
        if found.is_empty() || begun.elapsed() > Duration::from_secs(3) {
            return found;
        }
        thread::sleep(Duration::from_millis(20));
    }
}
