//! What a build tells: to the person who waits for it, and to programs.
//!
//! [`Diagnostics`] prints what tools said as `go build` prints it; [`Progress`] owns stderr while a build runs;
//! [`Summary`] is the end of it, as a line and as JSON; [`EventLog`] is all of it as NDJSON. Nothing here knows a clock:
//! whoever owns one says what time it is.

mod cgo_text;
mod count;
mod diagnostics;
mod events;
mod frame;
#[cfg(test)]
mod like_go_test;
mod open_block;
mod percent;
mod progress;
#[cfg(test)]
mod screen;
mod short_path;
mod skipped;
mod summary;
mod summary_file;
mod terminal;
mod timestamp;

pub use cgo_text::CgoText;
pub use count::Count;
pub use diagnostics::{Diagnostics, Subject, locale_is_utf8};
pub use events::{EventLog, EventLogError};
pub use open_block::OpenBlock;
pub use percent::Percent;
pub use progress::Progress;
pub use short_path::short_path;
pub use skipped::Skipped;
pub use summary::{ActionCounts, Built, Bytes, Outcome, Summary};
pub use summary_file::SummaryError;
pub use terminal::{Display, NoTerminal, Terminal};
pub use timestamp::rfc3339;
