//! Folder trees that somebody else writes to: what is below a [`Folder`] is reached by handles, and no symbolic link is ever
//! followed on the way.
//!
//! Whoever joins a path to the name of a folder and hands that to the system gets whatever the links in that folder say:
//! a file of the machine instead of one of the tree. So a path below a folder is a type of its own, [`TreePath`], that cannot
//! be joined to anything, and only a [`Folder`] takes it: to open a file, create one, link or move one, look at one, or
//! remove a whole tree. Looking first and acting then would not do, because a folder may become a link in between; the
//! handle of a folder stays that folder, wherever its name leads by then.
//!
//! The kernel resolves a path in one call (`openat2` with `RESOLVE_BENEATH`, `RESOLVE_NO_SYMLINKS`, `RESOLVE_NO_XDEV`);
//! where it lacks that call or a filter forbids it, each component is opened by itself. See [`Resolver`].
//!
//! A folder that another filesystem is mounted on is not entered either: nothing in it can be the tree's.

mod copy;
mod entry;
mod error;
mod folder;
mod names;
mod path;
mod remove;
mod resolve;
mod retain;
mod status;

pub use entry::{Entry, TreeFile};
pub use error::{Problem, Result, TreeError};
pub use folder::Folder;
pub use path::{BadPath, TreePath};
pub use resolve::Resolver;
pub use retain::KEPT_DEPTH;
pub use status::{FileId, Kind, Status};
