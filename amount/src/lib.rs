//! Sizes and spans of time, as people write them and as they are shown to people.
//!
//! All programs read their settings with [`parse_size`] and [`parse_time_span`], so what one of them takes every one takes, and
//! each refuses the rest in the same words. [`Size`] and [`TimeSpan`] show what was measured, rounded; what they show is
//! written as the parsers read it.

mod decimal;
mod error;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod random_test;
mod size;
mod time_span;

pub use error::NoAmount;
pub use size::{Size, parse_size};
pub use time_span::{TimeSpan, parse_time_span};
