//! The commands, one a file.

mod ask;
mod asking;
mod attach;
mod builds;
mod logs;
mod opening;
mod submit;
mod verify;
mod workers;

pub use ask::command as ask;
pub use submit::command as submit;
pub use verify::command as verify;
