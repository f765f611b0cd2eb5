//! The one way to the user: all that is written to stdout and stderr passes through here or through
//! [`Progress`](crate::report::Progress), and nothing in it is obeyed by a terminal (see [`gofarm_printable`]).

use std::io::{self, Write};

use gofarm_printable::{Printable, printable_json};

use crate::stderr::Stderr;

/// Writes what was asked for.
pub(crate) fn out(text: &(impl AsRef<[u8]> + ?Sized)) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(Printable::new(text).as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Writes what was asked for, for programs.
pub(crate) fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    out(&format!("{}\n", printable_json(&text)))
}

/// Says the rest. Where nobody hears it, there is nobody to tell.
pub(crate) fn err(text: &(impl AsRef<[u8]> + ?Sized)) {
    let _ = Stderr.write_all(Printable::new(text).as_bytes());
}
