//! A name in a folder, and what can be done with the file that has it.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Problem, Result, TreeError};
use crate::folder::Folder;
use crate::status::{Kind, Status};

/// Opening waits for nobody and makes nothing the terminal of this process.
const HARMLESS: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY);

/// One name in one folder, which is held by a handle. There may be nothing yet that has the name.
#[derive(Debug)]
pub struct Entry<'a> {
    parent: Parent<'a>,
    name: Cow<'a, OsStr>,
    at: Cow<'a, str>,
}

#[derive(Debug)]
pub(crate) enum Parent<'a> {
    Lent(&'a Folder),
    Own(Folder),
}

/// A regular file that is open, and what it was when it had been opened.
#[derive(Debug)]
pub struct TreeFile {
    /// The file.
    pub file: File,
    /// What the system said of it, after opening.
    pub status: Status,
}

impl<'a> Entry<'a> {
    pub(crate) fn new(parent: Parent<'a>, name: Cow<'a, OsStr>, at: Cow<'a, str>) -> Entry<'a> {
        Entry { parent, name, at }
    }

    fn folder(&self) -> &Folder {
        match &self.parent {
            Parent::Lent(folder) => folder,
            Parent::Own(folder) => folder,
        }
    }

    /// Its path in the tree, for messages.
    pub fn at(&self) -> &str {
        &self.at
    }

    fn failed(&self, verb: &'static str) -> impl FnOnce(Errno) -> TreeError {
        TreeError::io(verb, &self.at)
    }

    fn is(&self, problem: Problem) -> TreeError {
        TreeError {
            at: self.at.clone().into_owned(),
            problem,
        }
    }

    /// What has the name now; `None` where nothing has it.
    pub fn status(&self) -> Result<Option<Status>> {
        let found = rustix::fs::statat(self.folder().fd(), &*self.name, AtFlags::SYMLINK_NOFOLLOW);
        match found {
            Ok(stat) => Ok(Some(Status::of(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.failed("looked at")(errno)),
        }
    }

    /// Opens the file for reading.
    ///
    /// # Errors
    ///
    /// [`Problem::NotAFile`] and [`Problem::Link`] for anything but a regular file; nothing is waited for. And what the
    /// system says, [not found](TreeError::is_not_found) among others.
    pub fn open(&self) -> Result<TreeFile> {
        self.open_as(OFlags::RDONLY)
    }

    /// Opens the file for writing at its end. Whether it has names elsewhere is for the caller to look at.
    ///
    /// # Errors
    ///
    /// As [`open`](Entry::open).
    pub fn append(&self) -> Result<TreeFile> {
        self.open_as(OFlags::WRONLY | OFlags::APPEND)
    }

    fn open_as(&self, flags: OFlags) -> Result<TreeFile> {
        let folder = self.folder();
        // Looked at before it is opened, because opening a device may do anything; and afterwards, because it may be
        // another by then.
        if let Some(status) = self.status()? {
            self.require_file(status.kind)?;
        }
        let opened =
            folder
                .resolver()
                .open(folder.fd(), &self.name, flags | HARMLESS, Mode::empty());
        let fd = match opened {
            Err(Errno::LOOP) => return Err(self.is(Problem::Link)),
            Err(Errno::ISDIR) => return Err(self.is(Problem::NotAFile(Kind::Folder))),
            opened => opened.map_err(self.failed("opened"))?,
        };
        let stat = rustix::fs::fstat(&fd).map_err(self.failed("looked at"))?;
        let status = Status::of(&stat);
        self.require_file(status.kind)?;
        Ok(TreeFile {
            file: fd.into(),
            status,
        })
    }

    fn require_file(&self, kind: Kind) -> Result<()> {
        match kind {
            Kind::File => Ok(()),
            Kind::Link => Err(self.is(Problem::Link)),
            kind => Err(self.is(Problem::NotAFile(kind))),
        }
    }

    /// A new file for writing. Nothing may have the name, not even a link that leads nowhere.
    pub fn create(&self, mode: u32) -> Result<File> {
        let folder = self.folder();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let made =
            folder
                .resolver()
                .open(folder.fd(), &self.name, flags, Mode::from_raw_mode(mode));
        Ok(made.map_err(self.failed("created"))?.into())
    }

    /// A new file in the place of whatever file had the name, whose other names keep what they have.
    pub fn create_fresh(&self, mode: u32) -> Result<File> {
        self.unlink()?;
        self.create(mode)
    }

    /// Takes the name from what has it, if anything has. A link goes itself, not what it leads to.
    ///
    /// # Errors
    ///
    /// [`Problem::NotAFile`] for a folder.
    pub fn unlink(&self) -> Result<()> {
        let gone = rustix::fs::unlinkat(self.folder().fd(), &*self.name, AtFlags::empty());
        match gone {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(Errno::ISDIR) => Err(self.is(Problem::NotAFile(Kind::Folder))),
            Err(errno) => Err(self.failed("removed")(errno)),
        }
    }

    /// Removes what has the name, with everything below it if it is a folder.
    pub fn remove(&self) -> Result<()> {
        self.folder().remove(&self.name)
    }

    /// A new symbolic link. Nothing may have the name.
    pub fn create_link(&self, target: &str) -> Result<()> {
        let made = rustix::fs::symlinkat(target, self.folder().fd(), &*self.name);
        made.map_err(self.failed("created"))
    }

    /// Gives the name to a file of the machine, beside the names that it has. Nothing may have it yet.
    pub fn link_from(&self, file: &Path) -> io::Result<()> {
        let folder = self.folder().fd();
        Ok(rustix::fs::linkat(
            CWD,
            file,
            folder,
            &*self.name,
            AtFlags::empty(),
        )?)
    }

    /// Moves what has the name out of the tree. What had the new name is replaced.
    pub fn move_to(&self, file: &Path) -> io::Result<()> {
        let folder = self.folder().fd();
        Ok(rustix::fs::renameat(folder, &*self.name, CWD, file)?)
    }
}
