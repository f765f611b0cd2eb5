//! Work on the store of a farm that somebody starts by hand, while schedulers run or not.
//!
//! stdout is data, stderr is the rest.

mod fsck;
mod gc;
mod invalidate;
mod progress;

pub use fsck::fsck;
pub use gc::gc;
pub use invalidate::invalidate;
use progress::Progress;

use std::io::{self, Write};

use anyhow::Context;

/// Writes an object, or lines, to stdout.
fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    let written = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
    match written {
        // Who reads it has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to stdout"),
    }
}
