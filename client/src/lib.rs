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

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use cli::{Command, Environment};

fn shown(text: &str) -> anyhow::Result<ExitCode> {
    // Whoever does not read to the end has read enough.
    let _ = say::out(text);
    Ok(cli::ExitCode::Success.into())
}

/// Does what the arguments say; returns the exit code of the process.
pub fn run(args: impl IntoIterator<Item = std::ffi::OsString>) -> ExitCode {
    let command = match cli::parse(args) {
        // What a launcher says is read by who started it.
        Ok(Command::Sandbox(_)) => return gofarm_worker::launcher_main(),
        command => command,
    };
    ended(|| {
        let environment = Environment::of_process();
        match command? {
            Command::Sandbox(_) => Ok(gofarm_worker::launcher_main()),
            Command::Version => shown(&cli::version()),
            Command::Help(text) => shown(text),
            Command::Submit(request) => Ok(commands::submit(&request, &environment)?.into()),
            Command::Verify(request) => Ok(commands::verify(&request, &environment)?.into()),
            Command::Farm(request) => Ok(commands::ask(&request, &environment)?.into()),
        }
    })
}

/// Runs a command, and tells the user of the error or the defect that it ends with.
fn ended(command: impl FnOnce() -> anyhow::Result<ExitCode>) -> ExitCode {
    // Nothing is used any more of what a panic may have left half done.
    let (code, text) = match catch_unwind(AssertUnwindSafe(command)) {
        Ok(Ok(code)) => return code,
        Ok(Err(error)) => ending::explain(&error),
        Err(_) => (cli::ExitCode::Defect, ending::PANICKED.to_owned()),
    };
    say::err(&format!("{text}\n"));
    code.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_panics_ends_as_a_defect() {
        let code = ended(|| panic!("shown by the test runner"));
        assert_eq!(code, cli::ExitCode::Defect.into());
    }
}
