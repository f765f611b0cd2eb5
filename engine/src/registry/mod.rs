//! What an engine and a registry say to each other: whose build it is, and what is written about it.
//!
//! The registry itself is a matter of whoever carries out the engine's commands.

mod build_table;
mod log;
mod measurement;
mod ownership;

pub use build_table::{BuildTable, OWNERSHIP_TTL, REMEMBERED};
pub use log::{Append, Appended, LoggedEvent, Restore};
pub use measurement::Measurement;
pub use ownership::{Duty, Ownership, Tenure};
