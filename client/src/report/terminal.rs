//! Whether stderr is a terminal, and what it can show.

use std::io::{IsTerminal, Stderr};

use crate::cli::{Environment, ProgressChoice};

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Display {
    /// A block that is drawn again and again in its place.
    Block {
        /// With colours.
        color: bool,
    },
    /// A line now and then.
    Lines,
    /// Not at all.
    Silent,
}

/// --progress=tty without a terminal. Exit code 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("--progress=tty needs a terminal and stderr is none; use auto or plain")]
pub struct NoTerminal;

/// What stderr is. See [`stderr`](Terminal::stderr).
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    /// Columns and rows.
    pub size: fn() -> Option<(u16, u16)>,
    /// It is a terminal.
    pub present: bool,
}

impl Terminal {
    /// That of this process.
    pub fn stderr() -> Terminal {
        Terminal {
            size: || size(&std::io::stderr()),
            present: std::io::stderr().is_terminal(),
        }
    }

    /// Decides how progress is shown: escape codes go to terminals only, and none to one that calls itself dumb, and
    /// colours only where NO_COLOR (no-color.org) is not set.
    ///
    /// # Errors
    /// [`NoTerminal`] when a block is demanded and there is no place for it.
    pub fn display(
        &self,
        choice: ProgressChoice,
        environment: &Environment,
    ) -> Result<Display, NoTerminal> {
        let block = Display::Block {
            color: environment.get("NO_COLOR").is_none(),
        };
        let dumb = environment.get("TERM").is_none_or(|term| term == "dumb");
        match choice {
            ProgressChoice::None => Ok(Display::Silent),
            ProgressChoice::Plain => Ok(Display::Lines),
            ProgressChoice::Tty if self.present => Ok(block),
            ProgressChoice::Tty => Err(NoTerminal),
            ProgressChoice::Auto if self.present && !dumb => Ok(block),
            ProgressChoice::Auto => Ok(Display::Lines),
        }
    }
}

fn size(stderr: &Stderr) -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(stderr).ok()?;
    // Some terminals do not know.
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_codes_are_for_terminals() {
        let display = |choice, present, variables: &[(&str, &str)]| {
            let terminal = Terminal {
                size: || None,
                present,
            };
            terminal.display(choice, &variables.iter().copied().collect())
        };
        let xterm = ("TERM", "xterm");
        let block = |color| Ok(Display::Block { color });
        for (choice, present, variables, expected) in [
            (ProgressChoice::Auto, true, &[xterm][..], block(true)),
            (
                ProgressChoice::Auto,
                true,
                &[xterm, ("NO_COLOR", "1")],
                block(false),
            ),
            (
                ProgressChoice::Auto,
                true,
                &[xterm, ("NO_COLOR", "")],
                block(true),
            ),
            (
                ProgressChoice::Auto,
                true,
                &[("TERM", "dumb")],
                Ok(Display::Lines),
            ),
            (ProgressChoice::Auto, true, &[], Ok(Display::Lines)),
            (ProgressChoice::Auto, false, &[xterm], Ok(Display::Lines)),
            (ProgressChoice::Tty, true, &[("TERM", "dumb")], block(true)),
            (ProgressChoice::Tty, false, &[xterm], Err(NoTerminal)),
            (ProgressChoice::Plain, true, &[xterm], Ok(Display::Lines)),
            (ProgressChoice::None, true, &[xterm], Ok(Display::Silent)),
        ] {
            assert_eq!(
                display(choice, present, variables),
                expected,
                "{choice:?} {present} {variables:?}"
            );
        }
    }
}
