//! Hostile actions. Each tries to make the worker, which sees the whole machine, read or change something outside of the
//! action's tree; each test is named for what is tried.
//!
//! They touch only folders that are made for them: a [`host::Host`] stands for the machine.

#![allow(
    clippy::unwrap_used,
    reason = "outside of test functions too, a test fails where it stands"
)]

#[path = "../it/farm.rs"]
#[allow(dead_code, reason = "the harness of the other tests, whole")]
mod farm;
mod hard_links;
mod host;
mod kept_work;
mod kinds;
mod leftovers;
mod links;
mod native_steps;
mod paths;
mod rule;
mod swaps;
