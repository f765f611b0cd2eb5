//! A command line that cannot be carried out.

use std::fmt;

use super::exit::ExitCode;

/// What is wrong with the command line, a variable of the environment or GOFLAGS.
///
/// Its text is what the user reads, all lines of it; where `go` has words for the same mistake they are those.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageError {
    message: String,
    /// What was most likely meant.
    suggestion: Option<String>,
    usage: Usage,
    exit_code: ExitCode,
}

/// Which usage lines stand below a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Usage {
    /// None: the message says all.
    None,
    /// The way to the list of commands.
    Commands,
    /// The usage line of a command and the way to its help: name and synopsis.
    Of(&'static str, &'static str),
}

impl UsageError {
    /// An error with this text.
    pub fn new(message: impl Into<String>) -> UsageError {
        UsageError {
            message: message.into(),
            suggestion: None,
            usage: Usage::None,
            exit_code: ExitCode::Usage,
        }
    }

    /// A mistake that `go build` ends with exit code 1, as gofarm then does.
    pub(super) fn failed(message: impl Into<String>) -> UsageError {
        UsageError {
            exit_code: ExitCode::BuildFailed,
            ..UsageError::new(message)
        }
    }

    /// 2, but where go has another one.
    pub fn exit_code(&self) -> ExitCode {
        self.exit_code
    }

    /// Something that `go build` can do and gofarm cannot.
    pub(super) fn unsupported(what: &str, why: &str) -> UsageError {
        UsageError::new(format!("gofarm: {what} is not supported: {why}"))
    }

    pub(super) fn usage(mut self, usage: Usage) -> UsageError {
        self.usage = usage;
        self
    }

    pub(super) fn suggest(mut self, suggestion: Option<String>) -> UsageError {
        self.suggestion = suggestion;
        self
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(suggestion) = &self.suggestion {
            write!(f, "\ndid you mean {suggestion}?")?;
        }
        match self.usage {
            Usage::None => Ok(()),
            Usage::Commands => f.write_str("\nRun 'gofarm help' for usage."),
            Usage::Of(name, synopsis) => {
                write!(
                    f,
                    "\nusage: gofarm {name} {synopsis}\nRun 'gofarm help {name}' for details."
                )
            }
        }
    }
}

impl std::error::Error for UsageError {}
