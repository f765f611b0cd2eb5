//! Real actions: processes, namespaces, a store on the disk, the Go compiler.

#![allow(
    clippy::unwrap_used,
    reason = "outside of test functions too, a test fails where it stands"
)]

mod farm;
mod go;
mod processes;
#[cfg(feature = "remote")]
mod program;
mod queue;
#[cfg(feature = "remote")]
mod remote;
#[cfg(feature = "remote")]
mod remote_farm;
mod reuse;
mod sandbox;
#[cfg(feature = "remote")]
mod seeing;
mod slots;
mod steps;
