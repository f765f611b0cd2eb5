//! gofarm's identities against those of the real go command. See `lab.rs` for how its commands are run again.

#![allow(
    clippy::unwrap_used,
    reason = "a panic is how these tests fail, in their shared parts too"
)]

mod binaries;
mod lab;
mod packages;
