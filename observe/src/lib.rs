//! What a process asks the file system for.
//!
//! [`observe`] runs a command and tells every path that the command and all its descendants named to the kernel: what they opened,
//! looked at, listed, followed, executed and changed, and whether it was there. So it is known what a result rests on, where a list
//! of what somebody thought of is not enough.
//!
//! How: a seccomp filter stops a process at the system calls that name files, and at no others; the observer (ptrace) reads the
//! arguments and the result. What it cannot see:
//!
//! - paths in the addresses of Unix sockets, and the network;
//! - files that a process has open from before, and what it then does with them: reading is taken for granted once a file is open;
//! - what a process maps, mounts or enters: names are those of the process's own mount namespace.
//!
//! `io_uring` and `open_by_handle_at` fail as on a system without them, so nothing goes past the filter. A process that makes
//! system calls of another architecture's table (32-bit programs) ends the observation with an error.
//!
//! It is no wall: a process that wants to hide a path can change it between the look and the call. Programs under observation
//! cannot gain privileges (`sudo`).

mod access;
mod error;
mod request;

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod linux;

pub use access::{Access, Kind, Outcome};
pub use error::ObserveError;
pub use request::{LeftBehind, Observed, Request};

#[cfg(not(target_os = "linux"))]
pub use elsewhere::observe;
#[cfg(target_os = "linux")]
pub use linux::observe;
