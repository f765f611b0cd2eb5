//! A process of a farm as its operator meets it: what scheduler and worker do alike.
//!
//! - [`LogFormat`]: log lines, for people or as JSON.
//! - [`Spans`]: what happened when, over OTLP, with ids that every process of the farm derives alike.
//! - [`Signals`]: the first signal drains, the second ends at once.
//! - [`live`] and [`Misuse`]: its whole life, and what an exit code says.
//! - [`vital`] and [`panics()`]: what a panic ends.

mod backlog;
mod exit;
mod exporter;
mod log;
mod panics;
mod place;
mod signals;
mod span;
mod spans;

pub use exit::{Misuse, live};
pub use log::LogFormat;
use log::log_to_stderr;
pub use panics::{Broken, panic_text, panics, vital};
pub use place::{BadTraceparent, Place};
pub use signals::{Signals, Stop};
pub use span::{Span, now};
pub use spans::{Spans, SpansError};
