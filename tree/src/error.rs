//! Why something below a folder could not be had.

use std::io;

use rustix::io::Errno;

use crate::status::Kind;

/// A result whose error is a [`TreeError`].
pub type Result<T, E = TreeError> = std::result::Result<T, E>;

/// What is wrong, and with which part of the path.
#[derive(Debug, thiserror::Error)]
#[error("{at} {problem}")]
pub struct TreeError {
    /// The path, relative to the tree's root, of what the problem is with. Bytes that are no text are replaced.
    pub at: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with something in a tree. Reads on after its path.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A link stands where it would have to be followed.
    #[error("is a symbolic link, and none is followed in the tree of an action")]
    Link,
    /// Something else stands where a folder is needed.
    #[error("is not a folder but {0}")]
    NotAFolder(Kind),
    /// Something else stands where a file with bytes of its own is needed.
    #[error("is {0}, not a file")]
    NotAFile(Kind),
    /// Another filesystem is mounted there.
    #[error("has another filesystem mounted on it")]
    Mounted,
    /// The system refused.
    #[error("cannot be {verb}: {source}")]
    Io {
        /// What was tried: "opened".
        verb: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl TreeError {
    pub(crate) fn io(verb: &'static str, at: &str) -> impl FnOnce(Errno) -> TreeError + use<> {
        let at = at.to_owned();
        move |errno| TreeError {
            at,
            problem: match errno {
                Errno::XDEV | Errno::BUSY => Problem::Mounted,
                errno => Problem::Io {
                    verb,
                    source: errno.into(),
                },
            },
        }
    }

    /// Nothing is there.
    pub fn is_not_found(&self) -> bool {
        self.io_kind() == Some(io::ErrorKind::NotFound)
    }

    /// What the system said, if it is the system that refused.
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        match &self.problem {
            Problem::Io { source, .. } => Some(source.kind()),
            _ => None,
        }
    }
}

impl From<TreeError> for io::Error {
    fn from(error: TreeError) -> io::Error {
        let kind = error.io_kind().unwrap_or(io::ErrorKind::Other);
        io::Error::new(kind, error)
    }
}
