//! The time as messages have it, and how long to wait before something is tried again.
//!
//! - [`now_ms`], [`to_ms`] and [`from_ms`]: points in time as all messages, notes and records have them.
//! - [`Backoff`]: longer and longer pauses between tries of one thing. The random number that spreads them is passed in, so that
//!   tests own it; [`random`] draws one.

mod backoff;
mod random;
mod wall_clock;

pub use backoff::Backoff;
pub use random::random;
pub use wall_clock::{from_ms, now_ms, to_ms};
