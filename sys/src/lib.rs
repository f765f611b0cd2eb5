//! System calls for which no crate has a safe wrapper that does all that gofarm needs. It is the one crate that may have
//! `unsafe`, and knows nothing of what its callers are about.
//!
//! Why not `nix`: its `ptrace` and `waitpid` know signals as an enumeration without the real-time ones, so a tracer built on them
//! loses a stop of a thread that is about to get one (glibc and Go send such signals to their own threads); it has no
//! `PTRACE_LISTEN`, without which a stopped process does not stay stopped; and what it says of a system call is a union.
//! `std::process::Command` waits until the new program runs, so nobody can hold a child between fork and exec.

#[cfg(target_os = "linux")]
mod child;
#[cfg(target_os = "linux")]
mod filter;
#[cfg(target_os = "linux")]
mod ptrace;

#[cfg(target_os = "linux")]
pub use child::{Child, Program, StartFailure};
#[cfg(target_os = "linux")]
pub use filter::{FOREIGN_CALL, Filter};
#[cfg(target_os = "linux")]
pub use ptrace::{
    CallExit, CallStop, Event, Resume, Status, call_exit, call_stop, event_message, read_memory,
    resume, seize, wait,
};
