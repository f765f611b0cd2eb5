//! The whole suite for each resolver, on a real filesystem.

#![allow(
    clippy::unwrap_used,
    reason = "outside of test functions too, a test fails where it stands"
)]

#[path = "../../../store/tests/it/child.rs"]
#[allow(dead_code, reason = "shared with the tests of the store")]
mod child;
mod copies;
mod files;
mod links;
mod removal;
mod surroundings;
mod swaps;
mod trees;
