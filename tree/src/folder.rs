//! The handle of a folder.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::entry::{Entry, Parent};
use crate::error::{Problem, Result, TreeError};
use crate::path::TreePath;
use crate::resolve::Resolver;
use crate::status::{Kind, Status};

/// Enough to reach what is below, for whoever may enter the folder but not list it.
const REACH: OFlags = OFlags::PATH.union(OFlags::DIRECTORY);
/// To list it, or to change its mode.
pub(crate) const LIST: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY);

/// A handle of a folder. It stays that folder when the folder is renamed, and when something else takes its name.
///
/// No process that is started inherits it.
#[derive(Debug)]
pub struct Folder {
    fd: OwnedFd,
    resolver: Resolver,
}

impl Folder {
    /// Opens a folder of the machine. Links in its path are followed: whoever names it is believed.
    pub fn open(path: &Path) -> io::Result<Folder> {
        Folder::open_with(path, Resolver::of_this_machine())
    }

    /// Likewise, with the resolver for what is below: for tests of both.
    pub fn open_with(path: &Path, resolver: Resolver) -> io::Result<Folder> {
        let flags = REACH | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Folder { fd, resolver })
    }

    /// Another handle of the same folder.
    pub fn try_clone(&self) -> io::Result<Folder> {
        Ok(Folder {
            fd: self.fd.try_clone()?,
            resolver: self.resolver,
        })
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(crate) fn resolver(&self) -> Resolver {
        self.resolver
    }

    /// What the system says of the folder itself.
    pub fn status(&self) -> Result<Status> {
        let stat = rustix::fs::fstat(&self.fd).map_err(TreeError::io("looked at", "."))?;
        Ok(Status::of(&stat))
    }

    /// A folder below this one.
    pub fn folder(&self, path: TreePath<'_>) -> Result<Folder> {
        let fd = self
            .reach(path)
            .map_err(|errno| self.explain(path, "opened", errno))?;
        Ok(self.with(fd))
    }

    /// The folder below this one, which is made with all those above it that are missing, each with this mode whatever the
    /// process's mask is. Those that are there are left as they are.
    pub fn make_folders(&self, path: TreePath<'_>, mode: u32) -> Result<Folder> {
        match self.reach(path) {
            Ok(fd) => return Ok(self.with(fd)),
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(self.explain(path, "opened", errno)),
        }
        let mut held: Option<Folder> = None;
        for step in path.steps() {
            let above = held.as_ref().unwrap_or(self);
            let name = OsStr::new(step.name());
            match above.make(name, mode) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(self.explain(step, "made", errno)),
            }
            let fd = self
                .resolver
                .open(above.fd(), name, REACH, Mode::empty())
                .map_err(|errno| self.explain(step, "opened", errno))?;
            held = Some(self.with(fd));
        }
        // A path has at least one step.
        held.map_or_else(|| self.folder(path), Ok)
    }

    /// Makes a folder in this one, which must not be there yet, with this mode.
    pub fn make_folder(&self, name: &str, mode: u32) -> Result<()> {
        self.child(OsStr::new(name))?;
        self.make(OsStr::new(name), mode)
            .map_err(TreeError::io("made", name))
    }

    /// A folder in this very one.
    pub fn child_folder(&self, name: &str) -> Result<Folder> {
        self.child(OsStr::new(name))?;
        let fd = self
            .resolver
            .open(self.fd(), OsStr::new(name), REACH, Mode::empty())
            .map_err(TreeError::io("opened", name))?;
        Ok(self.with(fd))
    }

    pub(crate) fn make(&self, name: &OsStr, mode: u32) -> rustix::io::Result<()> {
        rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(mode))?;
        let stat = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if Status::of(&stat).mode == mode {
            return Ok(());
        }
        let made = self.resolver.open(self.fd(), name, LIST, Mode::empty())?;
        rustix::fs::fchmod(made, Mode::from_raw_mode(mode))
    }

    /// The folder of this name in this very one, which is a name that a listing has given.
    pub(crate) fn enter(&self, name: &OsStr) -> rustix::io::Result<Folder> {
        let fd = self.resolver.open(self.fd(), name, REACH, Mode::empty())?;
        Ok(self.with(fd))
    }

    /// What has this path, or may get it. Its folder must be there.
    pub fn entry<'a>(&'a self, path: TreePath<'a>) -> Result<Entry<'a>> {
        let parent = match path.parent() {
            Some(parent) => Parent::Own(self.folder(parent)?),
            None => Parent::Lent(self),
        };
        Ok(Entry::new(
            parent,
            Cow::Borrowed(OsStr::new(path.name())),
            Cow::Borrowed(path.text()),
        ))
    }

    /// What may get this path. Its folder is [made](Folder::make_folders).
    pub fn fresh_entry<'a>(&'a self, path: TreePath<'a>, mode: u32) -> Result<Entry<'a>> {
        let parent = match path.parent() {
            Some(parent) => Parent::Own(self.make_folders(parent, mode)?),
            None => Parent::Lent(self),
        };
        Ok(Entry::new(
            parent,
            Cow::Borrowed(OsStr::new(path.name())),
            Cow::Borrowed(path.text()),
        ))
    }

    /// What has this name in this very folder, or may get it.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for what is not one name.
    pub fn child<'a>(&'a self, name: &'a OsStr) -> Result<Entry<'a>> {
        let at = name.to_string_lossy();
        let bytes = name.as_bytes();
        if matches!(bytes, b"" | b"." | b"..") || bytes.iter().any(|&b| b == b'/' || b == 0) {
            return Err(TreeError::io("used as a name", &at)(Errno::INVAL));
        }
        Ok(Entry::new(Parent::Lent(self), Cow::Borrowed(name), at))
    }

    fn reach(&self, path: TreePath<'_>) -> rustix::io::Result<OwnedFd> {
        let path = OsStr::new(path.text());
        self.resolver.open(self.fd(), path, REACH, Mode::empty())
    }

    fn with(&self, fd: OwnedFd) -> Folder {
        Folder {
            fd,
            resolver: self.resolver,
        }
    }

    /// Finds the component because of which a path could not be opened as a folder. Others may change the tree meanwhile; then
    /// it is said what the system said.
    fn explain(&self, path: TreePath<'_>, verb: &'static str, errno: Errno) -> TreeError {
        let as_said = |at: TreePath<'_>| TreeError::io(verb, at.text())(errno);
        if !matches!(
            errno,
            Errno::LOOP | Errno::NOTDIR | Errno::EXIST | Errno::XDEV
        ) {
            return as_said(path);
        }
        let mut held: Option<OwnedFd> = None;
        for step in path.steps() {
            let at = held.as_ref().map_or(self.fd(), AsFd::as_fd);
            let name = OsStr::new(step.name());
            let Ok(stat) = rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW) else {
                return as_said(step);
            };
            let problem = match Status::of(&stat).kind {
                Kind::Folder => match self.resolver.open(at, name, REACH, Mode::empty()) {
                    Ok(fd) => {
                        held = Some(fd);
                        continue;
                    }
                    Err(errno) => return TreeError::io(verb, step.text())(errno),
                },
                Kind::Link => Problem::Link,
                kind => Problem::NotAFolder(kind),
            };
            return TreeError {
                at: step.text().to_owned(),
                problem,
            };
        }
        as_said(path)
    }
}
