//! Log lines on standard error.

use std::io::{self, IsTerminal};

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::Misuse;

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// From now on log lines go to standard error. RUST_LOG says which; without it those from `info` on.
///
/// # Errors
///
/// RUST_LOG cannot be understood ([`Misuse`]).
pub(crate) fn log_to_stderr(format: LogFormat) -> anyhow::Result<()> {
    let filter = std::env::var("RUST_LOG").unwrap_or_default();
    let filter = if filter.is_empty() { "info" } else { &filter };
    let filter = EnvFilter::try_new(filter)
        .with_context(|| format!("RUST_LOG={filter} says nothing about log lines; try info, or gofarm_scheduler=debug,warn"))
        .map_err(Misuse::new)?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    match format {
        LogFormat::Json => log.json().flatten_event(true).init(),
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).init(),
    }
    Ok(())
}
