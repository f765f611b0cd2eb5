//! Decides what of a build runs, when and how often.
//!
//! [`core`](mod@core) is a pure state machine: events in, effects out. It knows no clock, no I/O, no randomness and no async
//! runtime, so every situation it can come into is a list of events that a test can write down.

pub mod convert;
pub mod core;
#[cfg(test)]
mod fuzz;
mod machine;
mod maker;
pub mod registry;

pub use machine::{
    Answer, Archive, Away, Books, Command, Engine, EngineOptions, Fleet, GraphRead, Left, Message,
    Now, Opening, Question, QueueSeen, Recording, TICK, ToQueue, Told, Unplaced, WaitedFor,
    WriteOutcome, Written,
};
pub use maker::{LeaseNumber, Maker, provenance};
