//! The `gofarm` command.
//!
//! `cli` reads the command line, `commands` has what can be asked for, one command a file; a `session` does a build for any
//! of them, from plan to end; `farm` builds, inside this process or on many machines; `deliver` stamps and writes what was
//! built; `console` and `report` tell the user about it. Everything that the user sees passes through `say` or the progress
//! display of `report`, which keep from terminals what they would obey.

#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

mod blobs;
pub mod cli;
mod commands;
mod console;
mod deliver;
mod ending;
pub mod farm;
mod folder;
#[cfg(test)]
mod fuzz;
mod outline;
#[cfg(test)]
mod outline_before_test;
pub mod report;
mod say;
mod session;
mod signals;
mod stderr;

use std::process::ExitCode;

use cli::{Command, Environment};

fn shown(text: &str) -> anyhow::Result<cli::ExitCode> {
    // Whoever does not read to the end has read enough.
    let _ = say::out(text);
    Ok(cli::ExitCode::Success)
}

/// Does what the arguments say; returns the exit code of the process.
pub fn run(args: impl IntoIterator<Item = std::ffi::OsString>) -> ExitCode {
    let environment = Environment::of_process();
    let outcome = match cli::parse(args) {
        Ok(Command::Sandbox(_)) => return gofarm_worker::launcher_main(),
        Ok(Command::Version) => shown(&cli::version()),
        Ok(Command::Help(text)) => shown(text),
        Ok(Command::Submit(request)) => commands::submit(&request, &environment),
        Ok(Command::Verify(request)) => commands::verify(&request, &environment),
        Ok(Command::Farm(request)) => commands::ask(&request, &environment),
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(code) => code.into(),
        Err(error) => {
            let (code, text) = ending::explain(&error);
            say::err(&format!("{text}\n"));
            code.into()
        }
    }
}
