//! What is to be run, and what came of it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitStatus;

/// A command that is to be observed.
#[derive(Debug, Clone)]
pub struct Request {
    /// The file that is run: absolute, or below the working folder. It is not looked for on PATH.
    pub program: PathBuf,
    /// The arguments behind the name.
    pub args: Vec<OsString>,
    /// The whole environment.
    pub env: Vec<(OsString, OsString)>,
    /// The working folder.
    pub folder: PathBuf,
    /// What becomes of processes that outlive the command.
    pub left_behind: LeftBehind,
}

/// What becomes of processes that outlive the command that was run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LeftBehind {
    /// They are observed to their end, however long that takes.
    #[default]
    Wait,
    /// They are killed as soon as the command has ended.
    Kill,
}

/// A command that has ended, and with it all that it started.
#[derive(Debug)]
pub struct Observed {
    /// How the command itself ended.
    pub status: ExitStatus,
    /// All that was written to its standard output.
    pub stdout: Vec<u8>,
    /// All that was written to its standard error output.
    pub stderr: Vec<u8>,
}
