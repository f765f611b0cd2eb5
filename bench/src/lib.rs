//! What the commands that set gofarm beside `go build` share.

pub mod command_line;
pub mod process;
