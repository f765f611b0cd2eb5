//! The command line: what can be said, and what it means.
//!
//! The flags of `go build` are read as cmd/go reads them, which is why this is no general parser: one or two dashes,
//! boolean flags that never take the next word, and the first word that is no flag ends the flags. Start reading at
//! [`parse`]; the table of all flags is in `flag.rs`.

mod environment;
mod error;
mod exit;
mod farm_command;
mod farm_settings;
mod flag;
mod goflags;
mod help;
mod nearest;
mod options;
mod quoted;
mod request;
mod said;
mod scan;
mod server_choice;
mod settings_file;
mod value;
mod wrapper;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::PathBuf;

pub use environment::Environment;
pub use error::UsageError;
pub use exit::ExitCode;
pub use farm_command::{AttachOptions, FarmCommand, FarmOptions, FarmRequest};
pub use farm_settings::FarmSettings;
pub use help::version;
pub use options::{ProgressChoice, SandboxChoice, SubmitOptions};
pub use request::{DEFAULT_CACHE_SIZE, SubmitRequest};
pub use server_choice::ServerChoice;
pub use wrapper::{declared_compilers, require_declared};

use error::Usage;
use nearest::nearest;
use scan::Grammar;

/// What `gofarm` is asked to do.
#[derive(Debug)]
pub enum Command {
    /// `gofarm submit`, or `gofarm build`.
    Submit(SubmitRequest),
    /// `gofarm verify`.
    Verify(SubmitRequest),
    /// `gofarm logs` and the other commands that ask a farm.
    Farm(FarmRequest),
    /// `gofarm version`.
    Version,
    /// This text was asked for; it belongs on stdout.
    Help(&'static str),
    /// How gofarm starts itself inside a sandbox, with the arguments for it.
    Sandbox(Vec<OsString>),
}

/// The hidden command behind [`Command::Sandbox`].
pub const SANDBOX_COMMAND: &str = "__sandbox";

const COMMANDS: [&str; 5] = ["submit", "build", "verify", "version", "help"];
const SUBMIT: Usage = Usage::Of("submit", "[-o output] [build flags] [packages]");
const VERIFY: Usage = Usage::Of("verify", "[build flags] [packages]");

/// The flags of `go build` that gofarm knows, whether it carries them out or says why not, without dashes.
pub fn go_flags() -> impl Iterator<Item = &'static str> {
    flag::FLAGS
        .iter()
        .filter(|flag| !flag.is_own())
        .map(|flag| flag.name)
}

/// Reads the arguments, without the name of the program.
///
/// # Errors
/// Exit code 2.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, UsageError> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    if args.first().is_some_and(|first| first == SANDBOX_COMMAND) {
        return Ok(Command::Sandbox(args.split_off(1)));
    }
    let mut args = args
        .into_iter()
        .map(|arg| arg.into_string())
        .collect::<Result<Vec<String>, OsString>>()
        .map_err(|arg| UsageError::new(format!("gofarm: argument {arg:?} is not UTF-8")))?;
    // As cmd/go: -C stands before or behind the command, and is gone before flags are read.
    let mut chdir = take_chdir(&mut args, 0);
    let Some(name) = args.first().cloned() else {
        return Err(UsageError::new(help::OVERVIEW.trim_end()));
    };
    if chdir.is_none() {
        chdir = take_chdir(&mut args, 1);
    }
    let rest = args.split_off(1);
    match name.as_str() {
        "submit" | "build" => submit(chdir, rest, false),
        "verify" => submit(chdir, rest, true),
        "version" if rest.is_empty() => Ok(Command::Version),
        "version" => Err(UsageError::new("usage: gofarm version")),
        "-version" | "--version" | "-V" => Ok(Command::Version),
        "help" | "-h" | "-help" | "--help" => help::of(&rest).map(Command::Help),
        other => {
            match farm_command::parse(other, chdir, rest) {
                Some(Ok(farm_command::Parsed::Request(request))) => {
                    return Ok(Command::Farm(request));
                }
                Some(Ok(farm_command::Parsed::Help(text))) => return Ok(Command::Help(text)),
                Some(Err(error)) => return Err(error),
                None => {}
            }
            unknown(other)
        }
    }
}

fn unknown(unknown: &str) -> Result<Command, UsageError> {
    let meant = nearest(unknown, COMMANDS.into_iter().chain(farm_command::names()))
        .map(|name| format!("gofarm {name}"));
    let error = UsageError::new(format!("gofarm {unknown}: unknown command"));
    Err(error.suggest(meant).usage(Usage::Commands))
}

fn submit(chdir: Option<PathBuf>, args: Vec<String>, verify: bool) -> Result<Command, UsageError> {
    let usage = if verify { VERIFY } else { SUBMIT };
    let grammar = Grammar {
        flags: flag::FLAGS.iter().collect(),
        usage,
        mixed: false,
    };
    let scanned = scan::scan(args, &grammar)?;
    if scanned.help {
        return Ok(Command::Help(if verify {
            help::VERIFY
        } else {
            help::SUBMIT
        }));
    }
    let request = SubmitRequest::new(chdir, scanned, verify, usage)?;
    Ok(if verify {
        Command::Verify(request)
    } else {
        Command::Submit(request)
    })
}

/// Removes -C and its folder from this place (cmd/go/main.go, handleChdirFlag).
fn take_chdir(args: &mut Vec<String>, at: usize) -> Option<PathBuf> {
    let flag = args.get(at)?;
    if let Some(folder) = flag
        .strip_prefix("-C=")
        .or_else(|| flag.strip_prefix("--C="))
    {
        let folder = PathBuf::from(folder);
        args.remove(at);
        return Some(folder);
    }
    if (flag == "-C" || flag == "--C") && at + 1 < args.len() {
        args.remove(at);
        return Some(PathBuf::from(args.remove(at)));
    }
    None
}
