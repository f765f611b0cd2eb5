//! The processes of this machine, as /proc has them.

use std::collections::HashSet;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
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

/// What /proc says in a line; reading a command line takes longer.
struct Stat {
    pid: i32,
    parent: i32,
    started: u64,
}

impl Stat {
    fn of(pid: i32) -> Option<Stat> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field, in brackets, may hold anything.
        let fields: Vec<&str> = stat[stat.rfind(')')? + 2..].split(' ').collect();
        // A zombie runs nothing any more.
        if fields[0] == "Z" || fields[0] == "X" {
            return None;
        }
        Some(Stat {
            pid,
            parent: fields[1].parse().ok()?,
            started: fields[19].parse().ok()?,
        })
    }

    fn process(&self) -> Option<Process> {
        let args = fs::read(format!("/proc/{}/cmdline", self.pid)).ok()?;
        Some(Process {
            pid: self.pid,
            started: self.started,
            args: args
                .split(|&b| b == 0)
                .map(|arg| String::from_utf8_lossy(arg).into_owned())
                .collect(),
        })
    }
}

impl Process {
    /// A process and all below it.
    pub fn family(root: u32) -> Vec<Process> {
        let all: Vec<Stat> = all().filter_map(Stat::of).collect();
        let mut pids = HashSet::from([root as i32]);
        loop {
            let before = pids.len();
            pids.extend(
                all.iter()
                    .filter(|stat| pids.contains(&stat.parent))
                    .map(|stat| stat.pid)
                    .collect::<Vec<_>>(),
            );
            if pids.len() == before {
                break;
            }
        }
        all.into_iter()
            .filter(|stat| pids.contains(&stat.pid))
            .filter_map(|stat| stat.process())
            .collect()
    }

    /// Kills it.
    pub fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    /// Sends it a signal if it is still there.
    pub fn signal(&self, signal: Signal) {
        if self.is_alive() {
            let sent = kill(Pid::from_raw(self.pid), signal);
            assert!(matches!(sent, Ok(()) | Err(Errno::ESRCH)), "{sent:?}");
        }
    }

    fn is_alive(&self) -> bool {
        Stat::of(self.pid).is_some_and(|now| now.started == self.started)
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

/// The most memory that a process has had at once, bytes.
pub fn peak_memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kilobytes.unwrap().parse::<u64>().unwrap() << 10
}

fn all() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// Whether a process has a connection to this port of the machine.
pub fn connected_to(pid: u32, port: u16) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    let sockets: HashSet<String> = files
        .filter_map(|file| {
            let link = fs::read_link(file.ok()?.path()).ok()?;
            let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
            Some(inode.to_owned())
        })
        .collect();
    let connections = fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap_or_default();
    connections.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // The remote address, the state "established", and the inode.
        matches!(fields[..], [_, _, remote, "01", _, _, _, _, _, inode, ..]
            if remote.ends_with(&format!(":{port:04X}")) && sockets.contains(inode))
    })
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
            .filter_map(|pid| Stat::of(pid)?.process())
            .collect();
        if found.is_empty() || begun.elapsed() > Duration::from_secs(3) {
            return found;
        }
        thread::sleep(Duration::from_millis(20));
    }
}
