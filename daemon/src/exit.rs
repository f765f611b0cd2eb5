//! How a process of a farm runs and ends. Its exit codes are those of `gofarm`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use anyhow::Context;
use gofarm_printable::Printable;

use crate::panics::{Broken, broken, note_panics};
use crate::{LogFormat, log_to_stderr};

/// The command line or a variable is wrong, or asks for what is not supported. clap has the same.
const USAGE: u8 = 2;

/// The machine or the network: something that the process needs is not there.
const ENVIRONMENT: u8 = 3;

/// A defect of gofarm: something panicked that the process cannot be without.
const DEFECT: u8 = 4;

/// Marks an error as the user's: the command line or a variable is wrong. Errors without the mark are the environment's.
///
/// Shows as what it wraps.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Misuse(anyhow::Error);

impl Misuse {
    /// Whoever has given this setting has to change it.
    pub fn new(error: impl Into<anyhow::Error>) -> Misuse {
        Misuse(error.into())
    }
}

/// The whole life of a process behind its command line: log lines, threads, `run`, and the exit code that says how it ended.
pub fn live<F>(log: LogFormat, run: impl FnOnce() -> F) -> ExitCode
where
    F: Future<Output = anyhow::Result<()>>,
{
    if let Err(error) = log_to_stderr(log) {
        eprintln!("error: {}", Printable::line(&format!("{error:#}")));
        return ExitCode::from(exit_code(&error));
    }
    note_panics();
    let lived = || {
        let runtime = tokio::runtime::Runtime::new().context("threads cannot be started")?;
        runtime.block_on(async {
            tokio::select! {
                ended = run() => ended,
                broken = broken() => Err(broken.into()),
            }
        })
    };
    // Nothing is used any more of what a panic may have left half done.
    match catch_unwind(AssertUnwindSafe(lived)) {
        // It is in the log.
        Err(_) => ExitCode::from(DEFECT),
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            // The chain on one line, for those who read logs by line.
            tracing::error!("{error:#}");
            ExitCode::from(exit_code(&error))
        }
    }
}

/// What a process ends with that this error has ended.
fn exit_code(error: &anyhow::Error) -> u8 {
    if error.chain().any(|cause| cause.is::<Misuse>()) {
        USAGE
    } else if error.is::<Broken>() {
        DEFECT
    } else {
        ENVIRONMENT
    }
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn who_has_to_change_something_decides() {
        assert_eq!(exit_code(&anyhow!("no disk")), ENVIRONMENT);
        let misuse = anyhow::Error::from(Misuse::new(anyhow!("no url").context("--server x")));
        assert_eq!(exit_code(&misuse), USAGE);
        assert_eq!(format!("{misuse:#}"), "--server x: no url");
        let further: anyhow::Result<()> = Err(misuse).context("cannot start");
        assert_eq!(exit_code(&further.unwrap_err()), USAGE);
    }
}
