//! Decides what of a build runs, when and how often.
//!
//! [`core`](mod@core) is a pure state machine: events in, effects out. It knows no clock, no I/O, no randomness and no async
//! runtime, so every situation it can come into is a list of events that a test can write down.
//! [`queue`] hands its tasks to workers under leases. Whoever embeds the two feeds the core with what the
//! queue, the action cache and the clients say, and carries out its effects in order.

pub mod convert;
pub mod core;
#[cfg(all(test, feature = "server"))]
mod fuzz;
mod maker;
pub mod queue;
#[cfg(feature = "server")]
pub mod server;

pub use maker::{LeaseNumber, Maker};
