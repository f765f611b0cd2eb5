//! The launcher: a small process of its own between the worker and the tools of the actions of one workspace, one action after
//! the other.
//!
//! It exists for four reasons. Namespaces can only be entered by a process with one thread, which the worker is not. It
//! outlives the worker by a moment, so that tools are killed when the worker dies, however it dies. It adopts and reaps
//! orphans, so that a worker that is process 1 of a container collects no zombies. And peak memory is measured right: a
//! process that the worker forks itself would be charged with the worker's own memory.
//!
//! Its standard input is the worker's socket, its standard error the pipe that collects what tools print.
//!
//! Starting one and making its sandbox costs 4 ms of CPU time, as much as the smallest compilations: loading this program,
//! namespaces, mounts. So it stays for later actions, which is sound because after each command it has no child left, and
//! because only an action that came to a proper end leaves its launcher to others.

use std::fs::File;
use std::io::{self, PipeWriter, Read, Seek};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use gofarm_timing::{Backoff, random};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::resource::{Resource, getrlimit, rlim_t};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;
use wait4::Wait4;

use super::enter::{self, EnterError};
use super::metering::Meter;
use super::protocol::{
    Command, Event, Failed, Finished, Ready, Report, Setup, Started, receive, send,
};

/// A program that was just written may still be open in a sibling of the writer between its fork and its exec.
const BUSY_RETRIES: u32 = 8;
const BUSY_PAUSES: Backoff = Backoff::between(Duration::from_millis(2), Duration::from_millis(256));

/// Every resource limit, soft and hard.
type Limits = [(rlim_t, rlim_t); LIMITED.len()];

const LIMITED: [Resource; 16] = [
    Resource::RLIMIT_AS,
    Resource::RLIMIT_CORE,
    Resource::RLIMIT_CPU,
    Resource::RLIMIT_DATA,
    Resource::RLIMIT_FSIZE,
    Resource::RLIMIT_LOCKS,
    Resource::RLIMIT_MEMLOCK,
    Resource::RLIMIT_MSGQUEUE,
    Resource::RLIMIT_NICE,
    Resource::RLIMIT_NOFILE,
    Resource::RLIMIT_NPROC,
    Resource::RLIMIT_RSS,
    Resource::RLIMIT_RTPRIO,
    Resource::RLIMIT_RTTIME,
    Resource::RLIMIT_SIGPENDING,
    Resource::RLIMIT_STACK,
];

/// What the two threads share: the group that runs, and whether the worker has hung up.
#[derive(Default)]
struct RunningGroup {
    group: Option<Pid>,
    hung_up: bool,
}

/// The whole life of a launcher process; its exit code says nothing.
///
/// Must be called first thing in `main`, while the process has one thread.
pub fn launcher_main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The worker reads this as output of the action; it hangs up only when it is not interested any more.
            eprintln!("gofarm: the launcher of this action failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    let mut stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let Some(setup) = receive::<Setup>(&mut stream)? else {
        return Ok(());
    };
    // Before any child: orphans of tools come to this process instead of the worker or init.
    nix::sys::prctl::set_child_subreaper(true)?;
    // Opened while /proc is in sight. Absent in kernels built without it.
    let children = File::open("/proc/thread-self/children").ok();
    if let Some(sandbox) = &setup.sandbox
        && let Err(error) = enter::enter(sandbox)
    {
        return report(&mut stream, no_surroundings(&error));
    }
    let running = Arc::new(Mutex::new(RunningGroup::default()));
    let commands = listen(stream.try_clone()?, running.clone());
    report(&mut stream, Event::Ready(Ready {}))?;
    let mut starter = Starter {
        stream,
        output: PipeWriter::from(io::stderr().as_fd().try_clone_to_owned()?),
        running,
        children,
        sandboxed: setup.sandbox.is_some(),
        limits: limits()?,
        meter: Meter::start()?,
    };
    for command in commands {
        starter.perform(&command)?;
    }
    Ok(())
}

/// What the thread that starts the tools works with.
struct Starter {
    stream: UnixStream,
    output: PipeWriter,
    running: Arc<Mutex<RunningGroup>>,
    /// The list of this process's children; see [`end_escaped`].
    children: Option<File>,
    sandboxed: bool,
    /// The resource limits that this process began with: tools inherit them, and may change them from below.
    limits: Limits,
    /// What the present action has used.
    meter: Meter,
}

impl Starter {
    /// Runs a command and reports.
    fn perform(&mut self, command: &Command) -> io::Result<()> {
        if command.begins_action
            && let Err(error) = self.begin_action()?
        {
            return report(&mut self.stream, no_surroundings(&error));
        }
        self.run(command)
    }

    /// The inner error is the sandbox's.
    fn begin_action(&mut self) -> io::Result<Result<(), EnterError>> {
        // The tools have the pipe from here, and so share this with it: a tool of the last action may have changed it for all.
        fcntl(&self.output, FcntlArg::F_SETFL(OFlag::empty()))?;
        self.meter = Meter::start()?;
        Ok(match self.sandboxed {
            true => enter::renew(),
            false => Ok(()),
        })
    }

    fn run(&mut self, command: &Command) -> io::Result<()> {
        let (mut child, pid) = {
            // Held while the process starts, so that a hang-up finds either nothing or a group to kill.
            let mut running = lock(&self.running);
            if running.hung_up {
                return Ok(());
            }
            match start(command, &self.output) {
                Ok(child) => {
                    // A process ID always fits.
                    let pid = Pid::from_raw(child.id() as i32);
                    running.group = Some(pid);
                    (child, pid)
                }
                Err(failed) => return report(&mut self.stream, Event::Failed(failed)),
            }
        };
        let started = Instant::now();
        let pid_of_group = pid.as_raw();
        report(
            &mut self.stream,
            Event::Started(Started { pid: pid_of_group }),
        )?;
        // The leader is left unreaped until its group is dead, so that the group's number cannot come to mean another group.
        while let Err(Errno::EINTR) =
            waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)
        {}
        let wall = started.elapsed();
        kill_group(pid);
        lock(&self.running).group = None;
        let ended = child.wait4()?;
        // What the tool left behind has come to this process as its new parent.
        while !matches!(
            waitpid(Pid::from_raw(-pid_of_group), None),
            Err(Errno::ECHILD)
        ) {}
        let escaped = !end_escaped(self.children.as_mut());
        let used = self.meter.read(ended.rusage.maxrss)?;
        let finished = Finished {
            code: ended.status.code().unwrap_or(0),
            signal: ended.status.signal().unwrap_or(0),
            user_us: used.user_us,
            system_us: used.system_us,
            peak_memory: used.peak_memory,
            wall_us: wall.as_micros() as u64,
            escaped,
            spoiled: limits()? != self.limits,
        };
        report(&mut self.stream, Event::Finished(finished))
    }
}

/// Reads commands on a thread of its own, which notices the end of the stream while a tool runs.
fn listen(mut stream: UnixStream, running: Arc<Mutex<RunningGroup>>) -> mpsc::Receiver<Command> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        // An unreadable stream is no better than one that has ended.
        while let Ok(Some(command)) = receive(&mut stream) {
            if sender.send(command).is_err() {
                break;
            }
        }
        let mut running = lock(&running);
        running.hung_up = true;
        if let Some(group) = running.group {
            kill_group(group);
        }
    });
    receiver
}

/// Kills and reaps what has left its process group (a daemon), and so outlived it: it is a child of this process by now.
/// False when something is still there.
fn end_escaped(mut children: Option<&mut File>) -> bool {
    // Each round may orphan the next generation.
    for _ in 0..100 {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Err(Errno::ECHILD) => return true,
            Ok(WaitStatus::StillAlive) => {}
            _ => continue,
        }
        let mut list = String::new();
        let read = children.as_mut().map(|file| {
            file.rewind()?;
            file.read_to_string(&mut list)
        });
        if !matches!(read, Some(Ok(_))) {
            return false;
        }
        for pid in list
            .split_ascii_whitespace()
            .filter_map(|pid| pid.parse().ok())
        {
            // They are unreaped children, so that these numbers mean nobody else.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            let _ = waitpid(Pid::from_raw(pid), None);
        }
    }
    false
}

fn kill_group(group: Pid) {
    // ESRCH: nobody is left.
    let _ = killpg(group, Signal::SIGKILL);
}

fn start(command: &Command, output: &PipeWriter) -> Result<Child, Failed> {
    let program = resolve(command)?;
    let failed = |what: &str, error: io::Error| Failed {
        reason: format!("{what}: {error}"),
        errno: error.raw_os_error().unwrap_or(0),
        ..Default::default()
    };
    // The worker has made it.
    let cwd = Path::new(&command.cwd);
    let mut attempt = 0;
    let mut backoff = BUSY_PAUSES;
    loop {
        let streams = output
            .try_clone()
            .and_then(|out| Ok((out, output.try_clone()?)));
        let (out, err) = streams.map_err(|error| failed("copying the output pipe", error))?;
        #[allow(clippy::disallowed_methods, reason = "this is the one wrapper")]
        let mut process = std::process::Command::new(&program);
        process
            .arg0(&command.argv[0])
            .args(&command.argv[1..])
            .env_clear()
            .envs(&command.env)
            .current_dir(cwd)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err);
        match process.spawn() {
            Ok(child) => return Ok(child),
            Err(error)
                if error.kind() == io::ErrorKind::ExecutableFileBusy && attempt < BUSY_RETRIES =>
            {
                thread::sleep(backoff.pause(random()));
                attempt += 1;
            }
            Err(error) => return Err(failed(&format!("starting {}", program.display()), error)),
        }
    }
}

/// The program's path. The system's own lookup would tell a missing program from a missing loader no better.
fn resolve(command: &Command) -> Result<PathBuf, Failed> {
    let Some(name) = command.argv.first().filter(|name| !name.is_empty()) else {
        return Err(Failed {
            reason: "the command is empty".to_owned(),
            ..Default::default()
        });
    };
    if name.contains('/') {
        return Ok(PathBuf::from(name));
    }
    let path = command.env.get("PATH").map_or("", String::as_str);
    find_in_path(name, path).ok_or_else(|| Failed {
        reason: format!("there is no program {name} in PATH ({path})"),
        errno: Errno::ENOENT as i32,
        ..Default::default()
    })
}

/// The first executable file of this name in the absolute folders of `path`.
pub(crate) fn find_in_path(name: &str, path: &str) -> Option<PathBuf> {
    std::env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|file| {
            file.is_file() && nix::unistd::access(file, nix::unistd::AccessFlags::X_OK).is_ok()
        })
}

/// The limits of this process as they are now.
fn limits() -> io::Result<Limits> {
    let mut limits = [(0, 0); LIMITED.len()];
    for (limit, resource) in limits.iter_mut().zip(LIMITED) {
        *limit = getrlimit(resource)?;
    }
    Ok(limits)
}

fn no_surroundings(error: &EnterError) -> Event {
    Event::Failed(Failed {
        reason: error.to_string(),
        errno: 0,
        surroundings: true,
    })
}

fn report(stream: &mut UnixStream, event: Event) -> io::Result<()> {
    match send(stream, &Report { event: Some(event) }) {
        // The worker is gone or has hung up; the listening thread knows it too.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

fn lock(running: &Mutex<RunningGroup>) -> MutexGuard<'_, RunningGroup> {
    // Neither thread panics while it holds the lock, and a half-made change does not exist.
    running.lock().unwrap_or_else(PoisonError::into_inner)
}
