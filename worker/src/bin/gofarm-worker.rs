//! A worker of a farm.

use std::process::ExitCode;

use clap::Parser;
use gofarm_daemon::{exit_code, log_to_stderr};
use gofarm_worker::launcher_main;
use gofarm_worker::remote::{Arguments, run};

/// How the worker starts itself as the launcher of an action's tools.
const LAUNCHER_COMMAND: &str = "__sandbox";

fn main() -> ExitCode {
    // First of all: a launcher has one thread.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|first| first == LAUNCHER_COMMAND)
    {
        return launcher_main();
    }
    let arguments = Arguments::parse();
    if let Err(error) = log_to_stderr(arguments.log_format) {
        eprintln!("error: {error:#}");
        return ExitCode::from(exit_code(&error));
    }
    let ended = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(run(arguments, vec![LAUNCHER_COMMAND.into()])));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The chain on one line, for those who read logs by line.
            tracing::error!("{error:#}");
            ExitCode::from(exit_code(&error))
        }
    }
}
