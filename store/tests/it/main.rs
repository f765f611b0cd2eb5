//! The store as its callers use it: one module for each thing that a user of it relies on.

#![expect(
    clippy::unwrap_used,
    reason = "the configured exception covers test functions, not what they share"
)]

mod actions;
mod before;
mod blobs;
mod child;
mod damage;
mod eviction;
mod file_index;
mod fixture;
mod gate;
mod history;
mod opening;
mod processes;
mod system;
mod verification;
