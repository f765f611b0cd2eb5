//! What stops a command from outside: signals, and the end of its time.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::cli::ExitCode;
use crate::stderr::stopping;

/// Why a build was stopped from outside.
#[derive(Debug, Clone, Default)]
pub struct StopReason(Arc<OnceLock<ExitCode>>);

impl StopReason {
    /// The exit code that it means; `None` while nothing stopped the build.
    pub fn get(&self) -> Option<ExitCode> {
        self.0.get().copied()
    }
}

/// Cancels on Ctrl-C, SIGTERM, or when the time is up. A second signal ends the process at once.
pub fn watch_signals(cancel: CancellationToken, deadline: Option<Instant>) -> StopReason {
    let reason = StopReason::default();
    let stopped = reason.clone();
    tokio::spawn(async move {
        let (Ok(mut interrupt), Ok(mut terminate)) = (
            signal(SignalKind::interrupt()),
            signal(SignalKind::terminate()),
        ) else {
            return;
        };
        let time_up = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        let code = tokio::select! {
            _ = interrupt.recv() => ExitCode::Interrupted,
            _ = terminate.recv() => ExitCode::Interrupted,
            () = time_up => ExitCode::TimedOut,
        };
        let _ = stopped.0.set(code);
        stopping();
        cancel.cancel();
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        // The launchers die with this process and take their tools along.
        std::process::exit(i32::from(ExitCode::Interrupted.code()));
    });
    reason
}
