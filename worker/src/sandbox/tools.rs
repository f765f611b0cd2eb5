//! The worker's end of a launcher: starting it, running commands through it, and making sure that nothing stays behind.

use std::ffi::OsString;
use std::fs;
use std::io::{self, PipeReader, Read};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::pipe::Receiver;
use tokio_util::sync::CancellationToken;

use super::protocol;
use super::protocol::{Command, Event, Failed, Finished, Report, Setup, frame, frame_length};
use crate::error::{ExecuteError, Result};
use crate::logs::Log;

/// How long a launcher may take to leave once its group is to be killed, before it is killed itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// How much of what a launcher said at its end is told, bytes. A pipe seldom holds more.
const LAST_WORDS: u64 = 64 << 10;

/// How to start this same program as a launcher: it must call [`launcher_main`](crate::launcher_main) first thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launcher {
    /// The program.
    pub program: PathBuf,
    /// Its arguments: the hidden subcommand.
    pub args: Vec<OsString>,
}

/// Device and inode.
type FileId = (u64, u64);

/// A launcher that has been started and told its surroundings, while no runtime knows of it.
///
/// Dropping it hangs up, which makes the launcher kill and reap its tools and leave, and waits for that.
#[derive(Debug)]
pub(crate) struct Spawned {
    control: StdUnixStream,
    output: PipeReader,
    child: Child,
    setup: Setup,
    /// What it mounts, in the setup's order, as it was at the start.
    mounted: Vec<Option<FileId>>,
    /// It has said that its surroundings stand.
    ready: bool,
    /// The process group of the command that runs.
    group: Option<Pid>,
}

impl Spawned {
    /// Starts a launcher. It makes its surroundings while the caller goes on; `Tools::ready` tells how that went.
    pub fn start(launcher: &Launcher, setup: &Setup) -> Result<Spawned> {
        let what = || format!("starting the launcher {}", launcher.program.display());
        Self::try_start(launcher, setup).map_err(|source| ExecuteError::Io {
            what: what(),
            source,
        })
    }

    fn try_start(launcher: &Launcher, setup: &Setup) -> io::Result<Spawned> {
        // Before it mounts them: what is replaced in between is taken for replaced.
        let mounted = mount_sources(setup);
        let (control, theirs) = StdUnixStream::pair()?;
        let (output, writer) = io::pipe()?;
        // Only our end: the tools' end of a pipe must block.
        fcntl(&output, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        #[allow(
            clippy::disallowed_methods,
            reason = "the launcher is what starts all others"
        )]
        let child = std::process::Command::new(&launcher.program)
            .args(&launcher.args)
            .process_group(0)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(writer)
            .spawn()?;
        let mut spawned = Spawned {
            control,
            output,
            child,
            setup: setup.clone(),
            mounted,
            ready: false,
            group: None,
        };
        io::Write::write_all(&mut spawned.control, &frame(setup))?;
        spawned.control.set_nonblocking(true)?;
        Ok(spawned)
    }

    /// Waits, on this thread, until the surroundings stand. The inner error is what the launcher says of itself.
    pub fn probe(mut self) -> io::Result<Result<Spawned, String>> {
        self.control.set_nonblocking(false)?;
        self.control.set_read_timeout(Some(PATIENCE))?;
        let report = protocol::receive::<Report>(&mut self.control)?;
        match report.and_then(|report| report.event) {
            Some(Event::Ready(_)) => {
                self.control.set_nonblocking(true)?;
                self.ready = true;
                Ok(Ok(self))
            }
            Some(Event::Failed(failed)) => Ok(Err(failed.reason)),
            _ => Err(io::Error::other(
                "it is not a launcher: it ended without a word of the protocol",
            )),
        }
    }

    /// What it was told.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Whether it still waits for a command: it may have been killed meanwhile.
    pub fn waits(&mut self) -> bool {
        let heard = self.control.read(&mut [0; 1]);
        self.ready && matches!(heard, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Whether it shows what is there now: a mount stays with a folder that was moved away or removed, while another one has
    /// come to its place.
    pub fn shows_the_present(&self) -> bool {
        mount_sources(&self.setup) == self.mounted
    }

    /// Tells it to leave, so that it is gone, or nearly, when this is dropped.
    pub fn hang_up(&self) {
        // What fails here is found out again when this is dropped.
        let _ = self.control.shutdown(Shutdown::Write);
    }

    /// Hangs up and waits until the other side has closed its end, which is when it has ended.
    fn has_left(&mut self) -> io::Result<()> {
        self.control.set_nonblocking(false)?;
        self.control.set_read_timeout(Some(PATIENCE))?;
        self.control.shutdown(Shutdown::Write)?;
        let mut rest = [0; 256];
        while self.control.read(&mut rest)? > 0 {}
        Ok(())
    }

    fn kill_group(&self) {
        if let Some(group) = self.group {
            // ESRCH: nobody is left.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        let left = self.has_left().is_ok();
        if !left {
            // Both, or the one that is stuck would leave the other behind.
            self.kill_group();
            let _ = self.child.kill();
        }
        let ended = self.child.wait();
        // One that leaves in good order has killed and reaped its group, whose number may be another's by now. One that died
        // has left it running; then the number is the group's own for as long as a process of it lives. Should none live,
        // somebody else could have it only if the system had given out all other numbers since the launcher died.
        if left && !ended.is_ok_and(|status| status.success()) {
            self.kill_group();
        }
    }
}

/// What is at the mounted paths at this moment, as mounting finds it: links are followed.
fn mount_sources(setup: &Setup) -> Vec<Option<FileId>> {
    let mounts = setup.sandbox.iter().flat_map(|sandbox| &sandbox.mounts);
    mounts
        .map(|mount| {
            let metadata = fs::metadata(&mount.from).ok()?;
            Some((metadata.dev(), metadata.ino()))
        })
        .collect()
}

/// The tools of one action: a launcher and what it runs. Dropping it kills and reaps everything.
pub(crate) struct Tools {
    /// The same socket as in `spawned`, watched by a runtime; and the same pipe.
    control: UnixStream,
    output: Receiver,
    /// Asked directly for the rest of the output: what a runtime believes about the pipe may be stale.
    spawned: Spawned,
    output_ended: bool,
    /// Received and not yet a whole message.
    partial: Vec<u8>,
    /// A command of this action has been sent.
    begun: bool,
    /// Nothing of this action is in the socket or the pipe, and the launcher is as it was.
    settled: bool,
}

/// Why a command was not seen to its end.
#[derive(Debug)]
pub(crate) enum Interruption {
    Cancelled,
    TimedOut,
    /// It could not be started.
    Failed(Failed),
    Launcher(String),
}

impl Tools {
    /// Takes over a started launcher. Must be called on a runtime.
    pub fn adopt(spawned: Spawned) -> Result<Tools> {
        let what = || "watching a launcher".to_owned();
        let io = |source| ExecuteError::Io {
            what: what(),
            source,
        };
        let control = spawned.control.try_clone().map_err(io)?;
        let output = spawned.output.try_clone().map_err(io)?;
        Ok(Tools {
            control: UnixStream::from_std(control).map_err(io)?,
            output: Receiver::from_owned_fd(output.into()).map_err(io)?,
            spawned,
            output_ended: false,
            partial: Vec::new(),
            begun: false,
            settled: true,
        })
    }

    /// Waits until the surroundings stand.
    pub async fn ready(
        &mut self,
        cancel: &CancellationToken,
        deadline: Instant,
    ) -> Result<(), Interruption> {
        unless(cancel, deadline, self.stands()).await
    }

    async fn stands(&mut self) -> Result<(), Interruption> {
        while !self.spawned.ready {
            match self.next_event()? {
                Some(Event::Ready(_)) => self.spawned.ready = true,
                Some(Event::Failed(failed)) => return Err(failure(failed)),
                Some(other) => return Err(unexpected(&other)),
                None => self.receive().await?,
            }
        }
        Ok(())
    }

    /// Runs a command to its end. Its output, and no other's, has gone to `log` when this returns.
    pub async fn run(
        &mut self,
        mut command: Command,
        log: &mut Log<'_>,
        cancel: &CancellationToken,
        deadline: Instant,
    ) -> Result<Finished, Interruption> {
        command.begins_action = !std::mem::replace(&mut self.begun, true);
        self.settled = false;
        let frame = frame(&command);
        let sending = async {
            let sent = self.control.write_all(&frame).await;
            sent.map_err(|error| Interruption::Launcher(format!("sending it a command: {error}")))
        };
        unless(cancel, deadline, sending).await?;
        loop {
            match self.next_event()? {
                Some(Event::Started(started)) => {
                    self.spawned.group = Some(Pid::from_raw(started.pid));
                    // What follows may have come with it, and then nothing more comes.
                    continue;
                }
                Some(Event::Finished(finished)) => {
                    self.spawned.group = None;
                    let empty = drain(&self.spawned.output, log);
                    let fit = !finished.escaped && !finished.spoiled;
                    self.settled = empty && fit && self.partial.is_empty();
                    return Ok(finished);
                }
                Some(Event::Failed(failed)) => return Err(failure(failed)),
                Some(other) => return Err(unexpected(&other)),
                None => {}
            }
            let output_ended = self.output_ended;
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(Interruption::Cancelled),
                () = tokio::time::sleep_until(deadline.into()) => {
                    drain(&self.spawned.output, log);
                    return Err(Interruption::TimedOut);
                }
                readable = self.output.readable(), if !output_ended => {
                    readable.map_err(|error| Interruption::Launcher(format!("watching its output: {error}")))?;
                    let mut chunk = [0; 16 << 10];
                    match self.output.try_read(&mut chunk) {
                        Ok(0) => self.output_ended = true,
                        Ok(length) => log.push(&chunk[..length]),
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        Err(error) => return Err(Interruption::Launcher(format!("reading its output: {error}"))),
                    }
                }
                received = Self::receive_into(&mut self.control, &mut self.partial) => received?,
            }
        }
    }

    /// The next whole message that has been received.
    fn next_event(&mut self) -> Result<Option<Event>, Interruption> {
        let broken = |error: &dyn std::fmt::Display| Interruption::Launcher(error.to_string());
        let Some(prefix) = self.partial.first_chunk::<4>() else {
            return Ok(None);
        };
        let end = 4 + frame_length(*prefix).map_err(|error| broken(&error))?;
        if self.partial.len() < end {
            return Ok(None);
        }
        let report = Report::decode(&self.partial[4..end]).map_err(|error| broken(&error))?;
        self.partial.drain(..end);
        match report.event {
            Some(event) => Ok(Some(event)),
            None => Err(Interruption::Launcher(
                "it sent an unknown message".to_owned(),
            )),
        }
    }

    async fn receive(&mut self) -> Result<(), Interruption> {
        Self::receive_into(&mut self.control, &mut self.partial).await
    }

    async fn receive_into(
        control: &mut UnixStream,
        partial: &mut Vec<u8>,
    ) -> Result<(), Interruption> {
        match control.read_buf(partial).await {
            Ok(0) => Err(Interruption::Launcher(
                "it ended early; it may have been killed".to_owned(),
            )),
            Ok(_) => Ok(()),
            Err(error) => Err(Interruption::Launcher(format!("hearing from it: {error}"))),
        }
    }

    /// Tells the launcher to leave, so that it is gone, or nearly, when this is dropped.
    pub fn hang_up(&self) {
        self.spawned.hang_up();
    }

    /// The launcher, for another action; `None` when it cannot be known to have nothing more to say of this one.
    pub fn release(self) -> Option<Spawned> {
        (self.spawned.ready && self.settled).then_some(self.spawned)
    }

    /// What the launcher itself may have said before it ended. No more than some: a tool may be left that still prints.
    pub fn last_words(&mut self) -> String {
        let mut words = Vec::new();
        let output = &mut self.spawned.output;
        let _ = output.take(LAST_WORDS).read_to_end(&mut words);
        String::from_utf8_lossy(&words).trim().to_owned()
    }
}

/// Takes what is in the pipe now, without waiting. False when there may be more.
fn drain(mut pipe: &PipeReader, log: &mut Log<'_>) -> bool {
    let mut chunk = [0; 16 << 10];
    // A pipe seldom holds more than this, and whoever still prints cannot keep the worker here.
    for _ in 0..64 {
        match pipe.read(&mut chunk) {
            Ok(length) if length > 0 => log.push(&chunk[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            Ok(_) => return false,
        }
    }
    false
}

/// The outcome of the work, unless the action ends before it.
async fn unless<T>(
    cancel: &CancellationToken,
    deadline: Instant,
    work: impl Future<Output = Result<T, Interruption>>,
) -> Result<T, Interruption> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(Interruption::Cancelled),
        () = tokio::time::sleep_until(deadline.into()) => Err(Interruption::TimedOut),
        outcome = work => outcome,
    }
}

fn failure(failed: Failed) -> Interruption {
    match failed.surroundings {
        true => Interruption::Launcher(failed.reason),
        false => Interruption::Failed(failed),
    }
}

fn unexpected(event: &Event) -> Interruption {
    Interruption::Launcher(format!("it said {event:?} out of turn"))
}
