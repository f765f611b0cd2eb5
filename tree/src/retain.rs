//! Emptying a tree and keeping its folders.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{Dir, FileType, Mode};

use crate::error::{Result, TreeError};
use crate::folder::{Folder, LIST};
use crate::remove::{is_dot, remove_at};
use crate::resolve::Resolver;
use crate::status::Status;

/// Folders deeper than so many are not kept: a handle is held for each level.
pub const KEPT_DEPTH: usize = 32;

impl Folder {
    /// Removes everything in this folder but those folders that are wanted, by their path relative to this one and by what
    /// they are. What is in a folder that is not wanted goes with it.
    pub fn retain(&self, wanted: &mut dyn FnMut(&Path, &Status) -> bool) -> Result<()> {
        let failed = TreeError::io("listed", ".");
        let dir = rustix::fs::openat(
            self.fd(),
            ".",
            LIST | rustix::fs::OFlags::CLOEXEC,
            Mode::empty(),
        )
        .and_then(Dir::new)
        .map_err(failed)?;
        level(dir, self.resolver(), Path::new(""), KEPT_DEPTH, wanted)
    }
}

fn level(
    mut dir: Dir,
    resolver: Resolver,
    at: &Path,
    depth: usize,
    wanted: &mut dyn FnMut(&Path, &Status) -> bool,
) -> Result<()> {
    while let Some(entry) = dir.read() {
        let listed = |errno| TreeError::io("listed", &at.to_string_lossy())(errno);
        let entry = entry.map_err(listed)?;
        let name = entry.file_name();
        if is_dot(name) {
            continue;
        }
        let folder = dir.fd().map_err(listed)?;
        let name_text = OsStr::from_bytes(name.to_bytes());
        // What the listing does not know is removed: a folder too many is made anew.
        if entry.file_type() == FileType::Directory && depth > 0 {
            // One that cannot be opened goes.
            if let Ok(fd) = resolver.open(folder, name_text, LIST, Mode::empty()) {
                let path = at.join(name_text);
                let stat = rustix::fs::fstat(&fd).map_err(listed)?;
                if wanted(&path, &Status::of(&stat)) {
                    let dir = Dir::new(fd).map_err(listed)?;
                    level(dir, resolver, &path, depth - 1, wanted)?;
                    continue;
                }
            }
        }
        remove_at(folder, name, resolver).map_err(TreeError::io(
            "removed",
            &at.join(name_text).to_string_lossy(),
        ))?;
    }
    Ok(())
}
