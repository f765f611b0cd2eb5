//! What the tools of an action print: taken piece by piece, kept within bounds, passed on while they run, and looked through for
//! why a tool failed.

mod ends;
mod log;
mod said;
mod sink;
mod spool;

pub use log::LOG_LIMIT;
pub(crate) use log::{Log, PathsBack};
pub use sink::{LogSink, TraceSink, TracedCommand};
