//! Log lines on standard error.

use std::io::{self, IsTerminal, Write};

use anyhow::Context;
use gofarm_printable::Printable;
use tracing_subscriber::EnvFilter;

use crate::Misuse;

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// From now on log lines go to standard error. RUST_LOG says which; without it those from `info` on.
///
/// # Errors
///
/// RUST_LOG cannot be understood ([`Misuse`]).
pub(crate) fn log_to_stderr(format: LogFormat) -> anyhow::Result<()> {
    let filter = std::env::var("RUST_LOG").unwrap_or_default();
    let filter = if filter.is_empty() { "info" } else { &filter };
    let filter = EnvFilter::try_new(filter)
        .with_context(|| format!("RUST_LOG={filter} says nothing about log lines; try info, or gofarm_scheduler=debug,warn"))
        .map_err(Misuse::new)?;
    // Whoever reads the lines may go; to complain of that on standard error would end the process.
    let log = tracing_subscriber::fmt()
        .log_internal_errors(false)
        .with_env_filter(filter);
    match format {
        LogFormat::Json => log
            .with_writer(io::stderr)
            .json()
            .flatten_event(true)
            .init(),
        LogFormat::Text => {
            let colours = io::stderr().is_terminal();
            log.with_writer(move || Lines {
                to: io::stderr(),
                colours,
            })
            .with_ansi(colours)
            .init();
        }
    }
    Ok(())
}

/// Writes each event as one line that a terminal shows and does not obey: names of workers and users, labels and error texts
/// are others' words.
struct Lines<W> {
    to: W,
    /// The formatter colours its lines: colours stay. It writes out those of others itself.
    colours: bool,
}

impl<W: Write> Write for Lines<W> {
    /// The formatter brings each event in one piece.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let mut line = Vec::with_capacity(event.len());
        let mut rest = event;
        while let Some(at) = rest
            .windows(2)
            .position(|two| two == b"\x1b[")
            .filter(|_| self.colours)
        {
            line.extend_from_slice(Printable::line(&rest[..at]).as_bytes());
            let colour = colour(&rest[at..]);
            line.extend_from_slice(colour);
            // Of anything else the ESC is written out.
            let after = at + colour.len().max(1);
            if colour.is_empty() {
                line.extend_from_slice(Printable::line(&rest[at..after]).as_bytes());
            }
            rest = &rest[after..];
        }
        line.extend_from_slice(Printable::line(rest).as_bytes());
        self.to.write_all(&line)?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// A sequence that sets colours, at the beginning of the text.
fn colour(text: &[u8]) -> &[u8] {
    let digits = text.get(2..).unwrap_or_default().iter();
    let digits = digits.take_while(|byte| byte.is_ascii_digit() || **byte == b';');
    let end = 2 + digits.count();
    match text.get(end) {
        Some(b'm') => &text[..=end],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(event: &str, colours: bool) -> String {
        let mut to = Vec::new();
        let mut lines = Lines {
            to: &mut to,
            colours,
        };
        lines.write_all(event.as_bytes()).unwrap();
        String::from_utf8(to).unwrap()
    }

    #[test]
    fn an_event_is_one_line_that_nothing_obeys() {
        let event = "INFO leased worker=w\x1b[2J\n2026 ERROR forged\u{9b}1m\n";
        let line = "INFO leased worker=w\\x1b[2J\\n2026 ERROR forged\\u009b1m\n";
        assert_eq!(written(event, false), line);
        assert_eq!(written(event, true), line);
    }

    #[test]
    fn the_formatters_own_colours_stay_on_a_terminal() {
        let event = "\x1b[2m2026\x1b[0m \x1b[32m INFO\x1b[0m said\x1b[\n";
        assert_eq!(
            written(event, true),
            "\x1b[2m2026\x1b[0m \x1b[32m INFO\x1b[0m said\\x1b[\n"
        );
        assert!(!written(event, false).contains('\x1b'));
    }
}
