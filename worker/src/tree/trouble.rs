//! Why something in the tree of an action could not be done.

use std::io;
use std::path::Path;

use gofarm_proto::EXEC_ROOT;
use gofarm_store::StoreError;
use gofarm_tree::{Problem, TreeError};

use crate::action::VirtualPath;
use crate::error::ExecuteError;

/// A result whose error is a [`Trouble`].
pub(crate) type Result<T, E = Trouble> = std::result::Result<T, E>;

/// Why something in the tree of an action could not be done. Paths in it are virtual.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The disk is full; what was tried.
    Full(String),
    /// The action has put something there that the worker does not touch.
    Refused(String),
    /// The system refused.
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// The bytes are not what they should be.
    Content(String),
}

impl Trouble {
    /// `what` reads on with the path.
    pub(super) fn of(what: &str, path: VirtualPath<'_>, error: TreeError) -> Trouble {
        let TreeError { at, problem } = error;
        match problem {
            Problem::Io { source, .. } => Trouble::io(what, path)(source),
            problem => Trouble::Refused(format!("{what} {path}: {EXEC_ROOT}/{at} {problem}")),
        }
    }

    pub fn io(what: &str, path: VirtualPath<'_>) -> impl FnOnce(io::Error) -> Trouble + use<> {
        let what = format!("{what} {path}");
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Trouble::Full(what),
            _ => Trouble::Io { what, source },
        }
    }

    /// As the outside hears of it. `folder` is where space is to be freed.
    pub fn into_error(self, label: &str, folder: &Path) -> ExecuteError {
        let label = label.to_owned();
        match self {
            Trouble::Full(what) => ExecuteError::Full {
                what,
                folder: folder.to_owned(),
                log: Vec::new(),
            },
            Trouble::Refused(problem) => ExecuteError::Refused { label, problem },
            Trouble::Io { what, source } => ExecuteError::Io { what, source },
            Trouble::Content(problem) => ExecuteError::NativeStep { label, problem },
        }
    }
}

/// [`VirtualPath::new`], for paths that were accepted before.
pub(crate) fn checked(path: &str) -> Result<VirtualPath<'_>> {
    VirtualPath::new(path).map_err(Trouble::Refused)
}

/// Why nothing was exchanged between a tree and the store.
#[derive(Debug)]
pub(crate) enum Uncollected {
    /// The tree is the matter.
    Tree(Trouble),
    /// The store is.
    Store(StoreError),
}

impl From<Trouble> for Uncollected {
    fn from(trouble: Trouble) -> Self {
        Uncollected::Tree(trouble)
    }
}

impl From<StoreError> for Uncollected {
    fn from(error: StoreError) -> Self {
        Uncollected::Store(error)
    }
}

impl Uncollected {
    pub fn into_error(self, label: &str, folder: &Path) -> ExecuteError {
        match self {
            Uncollected::Tree(trouble) => trouble.into_error(label, folder),
            Uncollected::Store(error) => error.into(),
        }
    }
}
