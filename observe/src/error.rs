//! What keeps a command from being observed.

use std::io;

/// Why a command was not observed to its end. Nothing of it runs any more.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// The program could not be started.
    #[error("cannot run {program}: {source}")]
    Start {
        /// The file.
        program: String,
        /// The system's word.
        source: io::Error,
    },
    /// A name, an argument or a variable with a zero byte.
    #[error("cannot run {program}: an argument or a variable of it has a zero byte")]
    ZeroByte {
        /// The file.
        program: String,
    },
    /// The system does not let processes be observed.
    #[error(
        "cannot observe a process ({doing}): {source}; the system must allow ptrace and seccomp filters"
    )]
    System {
        /// What was tried.
        doing: &'static str,
        /// The system's word.
        source: io::Error,
    },
    /// A process made system calls of another architecture.
    #[error(
        "process {process} ({program}) makes system calls of another architecture (32-bit code), which cannot be observed"
    )]
    ForeignCalls {
        /// Its number.
        process: u32,
        /// What it runs.
        program: String,
    },
    /// Not on this system.
    #[error("processes can be observed on Linux only (x86-64 and ARM64)")]
    Unsupported,
}
