//! Removing whole trees, whatever whoever wrote them has done to keep us from it.
//!
//! Neither the stack nor the number of open files depends on how deep a tree is: from some depth on, a folder is first moved
//! up to the top, from where it is no longer deep. No `..` and no path of more than one name is used, so neither links nor
//! the length of paths matter.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::{Errno, Result};

use crate::error::TreeError;
use crate::folder::{Folder, LIST};
use crate::resolve::Resolver;

/// Folders are held open up to this depth.
const DEEPEST: usize = 32;
/// How often a folder may turn out not to be empty after it was emptied: somebody still writes to it.
const TRIES: usize = 16;
/// What the owner of a folder needs for emptying it.
const OPEN_TO_US: Mode = Mode::RWXU;

impl Folder {
    /// Removes what has this name in this folder, with everything below it; nothing there is fine.
    pub fn remove(&self, name: &OsStr) -> crate::error::Result<()> {
        let failed = TreeError::io("removed", &name.to_string_lossy());
        let name = CString::new(name.as_bytes())
            .map_err(|_| TreeError::io("removed", &name.to_string_lossy())(Errno::INVAL))?;
        if is_dot(&name) || name.as_bytes().contains(&b'/') {
            return Err(failed(Errno::INVAL));
        }
        remove_at(self.fd(), &name, self.resolver()).map_err(failed)
    }
}

/// `.` or `..`.
pub(crate) fn is_dot(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

/// A folder that is being emptied.
struct Level {
    name: CString,
    dir: Dir,
    tries: usize,
}

pub(crate) fn remove_at(parent: BorrowedFd<'_>, name: &CStr, resolver: Resolver) -> Result<()> {
    match unlink(parent, name) {
        Err(Errno::ISDIR) => Tree {
            parent,
            resolver,
            levels: Vec::new(),
            moved: 0,
            moved_now: false,
        }
        .remove(name),
        gone => gone,
    }
}

struct Tree<'a> {
    parent: BorrowedFd<'a>,
    resolver: Resolver,
    /// From the top down to the folder that is being emptied.
    levels: Vec<Level>,
    /// How many were moved up.
    moved: u64,
    /// One was moved up since the top was last listed.
    moved_now: bool,
}

impl Tree<'_> {
    fn remove(mut self, name: &CStr) -> Result<()> {
        self.enter(name)?;
        while let Some(level) = self.levels.last_mut() {
            match level.dir.read() {
                Some(entry) => {
                    let entry = entry?;
                    if !is_dot(entry.file_name()) {
                        let is_folder = entry.file_type() == FileType::Directory;
                        self.clear(entry.file_name(), is_folder)?;
                    }
                }
                None => self.leave()?,
            }
        }
        Ok(())
    }

    /// Removes a name in the folder that is being emptied, or goes into it, or moves it up.
    fn clear(&mut self, name: &CStr, is_folder: bool) -> Result<()> {
        let Some(level) = self.levels.last() else {
            return Ok(());
        };
        let folder = level.dir.fd()?;
        if !is_folder {
            match unlink(folder, name) {
                Err(Errno::ISDIR) => {}
                gone => return gone,
            }
        }
        match rmdir(folder, name) {
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            // It has become something else since it was listed; the next listing says so.
            Err(Errno::NOTDIR) => return Ok(()),
            gone => return gone,
        }
        match self.levels.len() < DEEPEST {
            true => self.enter(name),
            false => self.move_up(name),
        }
    }

    fn enter(&mut self, name: &CStr) -> Result<()> {
        let folder = match self.levels.last() {
            Some(level) => level.dir.fd()?,
            None => self.parent,
        };
        let fd = match self.open(folder, name) {
            // It went, or became something else, since it was listed.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
            opened => opened?,
        };
        self.levels.push(Level {
            name: name.to_owned(),
            dir: Dir::new(fd)?,
            tries: TRIES,
        });
        Ok(())
    }

    fn open(&self, folder: BorrowedFd<'_>, name: &CStr) -> Result<std::os::fd::OwnedFd> {
        let text = OsStr::from_bytes(name.to_bytes());
        match self.resolver.open(folder, text, LIST, Mode::empty()) {
            Err(Errno::ACCESS) => {
                open_to_us(folder, name, self.resolver)?;
                self.resolver.open(folder, text, LIST, Mode::empty())
            }
            opened => opened,
        }
    }

    /// Gives the deep folder a name in the topmost one, where it is met again.
    fn move_up(&mut self, name: &CStr) -> Result<()> {
        let (Some(top), Some(level)) = (self.levels.first(), self.levels.last()) else {
            return Ok(());
        };
        let (top, folder) = (top.dir.fd()?, level.dir.fd()?);
        let mut opened = false;
        // Whoever wrote the tree may have taken names like ours.
        for _ in 0..1000 {
            self.moved += 1;
            let up = format!(".gofarm-{}", self.moved);
            match rustix::fs::renameat(folder, name, top, &*up) {
                Ok(()) => {
                    self.moved_now = true;
                    return Ok(());
                }
                Err(Errno::NOENT) => return Ok(()),
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR | Errno::ISDIR) => {}
                // To move a folder is to write to it, and to both that it is in.
                Err(Errno::ACCESS) if !opened => {
                    opened = true;
                    open_to_us(folder, name, self.resolver)?;
                    rustix::fs::fchmod(folder, OPEN_TO_US)?;
                    rustix::fs::fchmod(top, OPEN_TO_US)?;
                }
                Err(errno) => return Err(errno),
            }
        }
        Err(Errno::EXIST)
    }

    /// Removes the folder that was emptied, or empties it again.
    fn leave(&mut self) -> Result<()> {
        let Some(mut level) = self.levels.pop() else {
            return Ok(());
        };
        let parent = match self.levels.last() {
            Some(above) => above.dir.fd()?,
            None => self.parent,
        };
        match rmdir(parent, &level.name) {
            Err(Errno::NOTEMPTY | Errno::EXIST) => {
                let is_top = self.levels.is_empty();
                if !(is_top && std::mem::take(&mut self.moved_now)) {
                    level.tries -= 1;
                }
                if level.tries == 0 {
                    return Err(Errno::NOTEMPTY);
                }
                level.dir.rewind();
                self.levels.push(level);
                Ok(())
            }
            // Somebody has given its name to something else, which is met by the next listing of the folder above. The
            // topmost one is looked for no more.
            Err(Errno::NOTDIR) if self.levels.is_empty() => unlink(parent, &level.name),
            Err(Errno::NOTDIR) => Ok(()),
            gone => gone,
        }
    }
}

fn unlink(folder: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    take_away(folder, name, AtFlags::empty())
}

fn rmdir(folder: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    take_away(folder, name, AtFlags::REMOVEDIR)
}

/// Nothing there is fine.
fn take_away(folder: BorrowedFd<'_>, name: &CStr, flags: AtFlags) -> Result<()> {
    let gone = match rustix::fs::unlinkat(folder, name, flags) {
        Err(Errno::ACCESS) => {
            // Only of a folder that was opened for listing; the handle of the root of a tree is not.
            match rustix::fs::fchmod(folder, OPEN_TO_US) {
                Ok(()) => rustix::fs::unlinkat(folder, name, flags),
                Err(_) => Err(Errno::ACCESS),
            }
        }
        gone => gone,
    };
    match gone {
        Err(Errno::NOENT) => Ok(()),
        gone => gone,
    }
}

/// Lets the owner list and change a folder, by a handle: a name could stand for a link to another one by now.
fn open_to_us(parent: BorrowedFd<'_>, name: &CStr, resolver: Resolver) -> Result<()> {
    let text = OsStr::from_bytes(name.to_bytes());
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let folder = resolver.open(parent, text, flags, Mode::empty())?;
    // A folder that cannot be opened for reading gives no handle that `fchmod` takes.
    let handle = format!("/proc/self/fd/{}", folder.as_fd().as_raw_fd());
    rustix::fs::chmod(&*handle, OPEN_TO_US)
}
