//! Copies of what is in a tree.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{Dir, Mode, OFlags};

use crate::entry::{Entry, TreeFile};
use crate::error::{Problem, Result, TreeError};
use crate::folder::{Folder, LIST};
use crate::remove::is_dot;
use crate::retain::KEPT_DEPTH;
use crate::status::Kind;

impl Folder {
    /// Copies the files and folders in this folder into another one, where nothing may have their names; new folders get this
    /// mode. Left out are links, pipes, sockets and devices, what goes or becomes another kind of thing meanwhile, and what is
    /// below the upper [`KEPT_DEPTH`] levels.
    pub fn copy_into(&self, to: &Folder, mode: u32) -> Result<()> {
        level(self, to, mode, KEPT_DEPTH)
    }
}

fn level(from: &Folder, to: &Folder, mode: u32, depth: usize) -> Result<()> {
    let listed = |errno| TreeError::io("listed", ".")(errno);
    let flags = LIST | OFlags::CLOEXEC;
    let mut dir = rustix::fs::openat(from.fd(), ".", flags, Mode::empty())
        .and_then(Dir::new)
        .map_err(listed)?;
    while let Some(entry) = dir.read() {
        let entry = entry.map_err(listed)?;
        if is_dot(entry.file_name()) {
            continue;
        }
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        let source = from.child(name)?;
        let Some(status) = source.status()? else {
            continue;
        };
        match status.kind {
            Kind::Folder if depth > 0 => {
                let Ok(from) = from.enter(name) else { continue };
                let failed = |errno| TreeError::io("made", source.at())(errno);
                to.make(name, mode).map_err(failed)?;
                let to = to.enter(name).map_err(failed)?;
                level(&from, &to, mode, depth - 1)?;
            }
            Kind::File => file(&source, &to.child(name)?)?,
            _ => {}
        }
    }
    Ok(())
}

fn file(source: &Entry<'_>, target: &Entry<'_>) -> Result<()> {
    let TreeFile { file, status } = match source.open() {
        Ok(opened) => opened,
        Err(error) if error.is_not_found() => return Ok(()),
        Err(TreeError {
            problem: Problem::Link | Problem::NotAFile(_),
            ..
        }) => return Ok(()),
        Err(error) => return Err(error),
    };
    // Whoever copies may look at it afterwards.
    let mut copy = target.create(status.mode & 0o777 | 0o600)?;
    // Somebody may write to it without end.
    match io::copy(&mut file.take(status.size), &mut copy) {
        Ok(_) => Ok(()),
        Err(problem) => Err(TreeError {
            at: source.at().to_owned(),
            problem: Problem::Io {
                verb: "copied",
                source: problem,
            },
        }),
    }
}
