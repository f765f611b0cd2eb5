//! Being told to end.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and SIGINT, caught from when this was made.
///
/// The first is for draining. Whoever sends a second one does not want to wait: see [`Stop::now`].
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

/// A signal that tells the process to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// From a service manager.
    Terminate,
    /// Ctrl-C.
    Interrupt,
}

impl Signals {
    /// Catches them. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// The system does not allow it.
    pub fn new() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next of them, and those that came since the last. Cancel safe.
    pub async fn next(&mut self) -> Stop {
        tokio::select! {
            _ = self.terminate.recv() => Stop::Terminate,
            _ = self.interrupt.recv() => Stop::Interrupt,
        }
    }
}

impl Stop {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Stop::Terminate => "SIGTERM",
            Stop::Interrupt => "SIGINT",
        }
    }

    /// Ends the process at once, with the code that a shell shows for a process that this signal has killed: 143 or 130.
    pub fn now(self) -> ! {
        tracing::warn!(
            signal = self.name(),
            "told to end a second time; ending at once"
        );
        std::process::exit(match self {
            Stop::Terminate => 128 + 15,
            Stop::Interrupt => 128 + 2,
        })
    }
}
