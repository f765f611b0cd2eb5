//! A process of a farm as its operator meets it: what scheduler and worker do alike.
//!
//! - [`log_to_stderr`]: log lines, for people or as JSON.
//! - [`Spans`]: what happened when, over OTLP, with ids that every process of the farm derives alike.
//! - [`Signals`]: the first signal drains, the second ends at once.
//! - [`Misuse`] and [`exit_code`]: what an exit code says.

mod backlog;
mod collector;
mod exit;
mod log;
mod place;
mod signals;
mod span;
mod spans;

pub use exit::{ENVIRONMENT, Misuse, USAGE, exit_code};
pub use log::{LogFormat, log_to_stderr};
pub use place::{BadTraceparent, Place};
pub use signals::{Signals, Stop};
pub use span::{Span, now};
pub use spans::{Spans, SpansError};
