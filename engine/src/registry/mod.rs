//! What an engine and a registry say to each other: whose build it is, and what is written about it.
//!
//! The registry itself is a matter of whoever carries out the engine's commands.

mod log;
mod measurement;
mod ownership;

pub use log::{Append, Appended, LoggedEvent};
pub use measurement::Measurement;
pub use ownership::{Duty, Ownership, Tenure};
