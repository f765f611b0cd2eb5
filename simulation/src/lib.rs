//! Whole farms under simulated time, faults and network.
//!
//! A run is decided by its seed: builds, durations, what fails, what the network does to each message, which hosts die
//! and when. What runs in it is the real scheduler core and the real lease queue; the replica around the core, the
//! workers and the store are small models that follow the protocol of the real ones. [`farm`] says what is checked.
//! [`fleet`] has no faults but many workers: it measures how well a farm uses them; [`load`] what one scheduler has to do for them.

pub mod agenda;
mod crew;
pub mod farm;
mod flaw;
pub mod fleet;
mod ledger;
pub mod load;
pub mod network;
pub mod promptly;
pub mod random;
pub mod recording;
mod shape;
mod store;
mod weather;

pub use flaw::Flaw;
