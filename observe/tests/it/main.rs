//! Real processes under observation. A C compiler and the go command are expected on PATH.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "outside of test functions too, a test fails where it stands"
)]

mod kinds;
mod place;
mod processes;
mod programs;
