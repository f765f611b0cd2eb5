//! The commands, one a file.

mod ask;
mod asking;
mod attach;
mod builds;
mod logs;
mod workers;

pub use ask::command as ask;
