//! The worker's end of a launcher: starting it, running commands through it, and making sure that nothing stays behind.

use std::ffi::OsString;
use std::io::{self, PipeReader, Read};
use std::os::fd::OwnedFd;
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

use crate::error::{ExecuteError, Result};
use crate::log::Log;
use crate::protocol::{self, Command, Event, Failed, Finished, Report, Setup, frame, frame_length};

/// How long a launcher may take to leave once its group is to be killed, before it is killed itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// How to start this same program as a launcher: it must call [`launcher_main`](crate::launcher_main) first thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launcher {
    /// The program.
    pub program: PathBuf,
    /// Its arguments: the hidden subcommand.
    pub args: Vec<OsString>,
}

/// A launcher that has been started and told its surroundings, before any runtime knows of it.
///
/// Dropping it hangs up and reaps it: the order of the fields is the order of what happens.
pub(crate) struct Spawned {
    control: StdUnixStream,
    output: PipeReader,
    child: Reaped,
}

/// A launcher process that is never left as a zombie. Whoever owns it has hung up before it is dropped.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            match self.0.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(1)),
                _ => return,
            }
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
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
        let (mut control, theirs) = StdUnixStream::pair()?;
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
        io::Write::write_all(&mut control, &frame(setup))?;
        control.set_nonblocking(true)?;
        Ok(Spawned {
            control,
            output,
            child: Reaped(child),
        })
    }

    /// Waits, on this thread, until the surroundings stand, and lets the launcher go. The error is what it says of itself.
    pub fn probe(mut self) -> io::Result<Result<(), String>> {
        self.control.set_nonblocking(false)?;
        self.control.set_read_timeout(Some(PATIENCE))?;
        let report = protocol::receive::<Report>(&mut self.control)?;
        match report.and_then(|report| report.event) {
            Some(Event::Ready(_)) => Ok(Ok(())),
            Some(Event::Failed(failed)) => Ok(Err(failed.reason)),
            _ => Err(io::Error::other(
                "it is not a launcher: it ended without a word of the protocol",
            )),
        }
    }
}

/// The tools of one action: a launcher and what it runs. Dropping it kills and reaps everything.
pub(crate) struct Tools {
    control: Option<UnixStream>,
    output: Receiver,
    /// The same pipe, asked directly: what a runtime believes about it may be stale.
    direct: PipeReader,
    child: Reaped,
    output_ended: bool,
    /// Received and not yet a whole message.
    partial: Vec<u8>,
    /// The process group of the command that runs.
    group: Option<Pid>,
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
        Ok(Tools {
            control: Some(UnixStream::from_std(spawned.control).map_err(io)?),
            output: Receiver::from_owned_fd(spawned.output.try_clone().map_err(io)?.into())
                .map_err(io)?,
            direct: spawned.output,
            child: spawned.child,
            output_ended: false,
            partial: Vec::new(),
            group: None,
        })
    }

    /// Waits until the surroundings stand.
    pub async fn ready(&mut self) -> Result<(), Interruption> {
        loop {
            match self.next_event()? {
                Some(Event::Ready(_)) => return Ok(()),
                Some(Event::Failed(failed)) => return Err(Interruption::Failed(failed)),
                Some(other) => return Err(unexpected(&other)),
                None => self.receive().await?,
            }
        }
    }

    /// Runs a command to its end. Its output, and no other's, has gone to `log` when this returns.
    pub async fn run(
        &mut self,
        command: &Command,
        log: &mut Log<'_>,
        cancel: &CancellationToken,
        deadline: Instant,
    ) -> Result<Finished, Interruption> {
        let control = self.control.as_mut().ok_or_else(hung_up)?;
        control
            .write_all(&frame(command))
            .await
            .map_err(|error| Interruption::Launcher(format!("sending it a command: {error}")))?;
        loop {
            match self.next_event()? {
                Some(Event::Started(started)) => {
                    self.group = Some(Pid::from_raw(started.pid));
                    // What follows may have come with it, and then nothing more comes.
                    continue;
                }
                Some(Event::Finished(finished)) => {
                    self.group = None;
                    drain(&self.direct, log);
                    return Ok(finished);
                }
                Some(Event::Failed(failed)) => return Err(Interruption::Failed(failed)),
                Some(other) => return Err(unexpected(&other)),
                None => {}
            }
            let output_ended = self.output_ended;
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(Interruption::Cancelled),
                () = tokio::time::sleep_until(deadline.into()) => {
                    drain(&self.direct, log);
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
        control: &mut Option<UnixStream>,
        partial: &mut Vec<u8>,
    ) -> Result<(), Interruption> {
        let control = control.as_mut().ok_or_else(hung_up)?;
        match control.read_buf(partial).await {
            Ok(0) => Err(Interruption::Launcher("it ended early".to_owned())),
            Ok(_) => Ok(()),
            Err(error) => Err(Interruption::Launcher(format!("hearing from it: {error}"))),
        }
    }

    /// Tells the launcher to leave, so that it is gone, or nearly, when this is dropped.
    pub async fn hang_up(&mut self) {
        if let Some(control) = &mut self.control {
            // What fails here is found out again when this is dropped.
            let _ = control.shutdown().await;
        }
    }

    /// What the launcher itself may have said before it ended.
    pub fn last_words(&mut self) -> String {
        let mut words = Vec::new();
        let _ = self.direct.read_to_end(&mut words);
        String::from_utf8_lossy(&words).trim().to_owned()
    }
}

/// Hangs up, which makes the launcher kill and reap its tools and leave, and waits for that.
impl Drop for Tools {
    fn drop(&mut self) {
        let left = match self.control.take().map(UnixStream::into_std) {
            Some(Ok(control)) => has_left(control).unwrap_or(false),
            _ => false,
        };
        if !left {
            // Both, or the one that is stuck would leave the other behind.
            if let Some(group) = self.group {
                let _ = killpg(group, Signal::SIGKILL);
            }
            let _ = self.child.0.kill();
        }
        let _ = self.child.0.wait();
    }
}

/// Takes what is in the pipe now, without waiting.
fn drain(mut pipe: &PipeReader, log: &mut Log<'_>) {
    let mut chunk = [0; 16 << 10];
    // A pipe holds less than this, so whoever still prints cannot keep the worker here.
    for _ in 0..64 {
        match pipe.read(&mut chunk) {
            Ok(length) if length > 0 => log.push(&chunk[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => return,
        }
    }
}

/// Hangs up and waits until the other side has closed its end, which is when it has ended.
fn has_left(mut control: StdUnixStream) -> io::Result<bool> {
    control.set_nonblocking(false)?;
    control.set_read_timeout(Some(PATIENCE))?;
    control.shutdown(std::net::Shutdown::Write)?;
    let mut rest = [0; 256];
    while control.read(&mut rest)? > 0 {}
    Ok(true)
}

fn hung_up() -> Interruption {
    Interruption::Launcher("it has been left already".to_owned())
}

fn unexpected(event: &Event) -> Interruption {
    Interruption::Launcher(format!("it said {event:?} out of turn"))
}
