//! The names that one file has in a tree.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, Dir, FileType, Mode};
use rustix::io::Errno;

use crate::error::{Result, TreeError};
use crate::folder::{Folder, LIST};
use crate::remove::is_dot;
use crate::resolve::Resolver;
use crate::retain::KEPT_DEPTH;
use crate::status::{FileId, Status};

/// So many files are looked at, at most: an action could make any number.
const MOST_ENTRIES: usize = 1 << 20;

impl Folder {
    /// How many names the file has in this tree: as many as are found in its upper levels and its first million files.
    pub fn names_of(&self, file: FileId) -> Result<u64> {
        let failed = TreeError::io("listed", ".");
        let mut search = Search {
            file,
            resolver: self.resolver(),
            left: MOST_ENTRIES,
            found: 0,
        };
        rustix::fs::openat(
            self.fd(),
            ".",
            LIST | rustix::fs::OFlags::CLOEXEC,
            Mode::empty(),
        )
        .and_then(Dir::new)
        .and_then(|dir| search.level(dir, KEPT_DEPTH))
        .map_err(failed)?;
        Ok(search.found)
    }
}

struct Search {
    file: FileId,
    resolver: Resolver,
    left: usize,
    found: u64,
}

impl Search {
    fn level(&mut self, mut dir: Dir, depth: usize) -> rustix::io::Result<()> {
        while let Some(entry) = dir.read() {
            let entry = entry?;
            let name = entry.file_name();
            if is_dot(name) {
                continue;
            }
            let Some(left) = self.left.checked_sub(1) else {
                return Ok(());
            };
            self.left = left;
            let folder = dir.fd()?;
            if entry.file_type() == FileType::Directory {
                let name = OsStr::from_bytes(name.to_bytes());
                if depth > 0
                    && let Ok(fd) = self.resolver.open(folder, name, LIST, Mode::empty())
                {
                    self.level(Dir::new(fd)?, depth - 1)?;
                }
            } else if entry.ino() == self.file.inode {
                match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) if Status::of(&stat).id == self.file => self.found += 1,
                    Ok(_) | Err(Errno::NOENT) => {}
                    Err(errno) => return Err(errno),
                }
            }
        }
        Ok(())
    }
}
