//! Copies of what is in a tree.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{Dir, Mode, OFlags, SeekFrom, seek};
use rustix::io::Errno;

use crate::entry::{Entry, TreeFile};
use crate::error::{Problem, Result, TreeError};
use crate::folder::{Folder, LIST};
use crate::remove::is_dot;
use crate::retain::KEPT_DEPTH;
use crate::status::Kind;

impl Folder {
    /// Copies the files and folders in this folder into another one, where nothing may have their names; new folders get this
    /// mode, and holes in files stay holes. Left out are links, pipes, sockets and devices, what goes or becomes another kind of thing meanwhile, and what is
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
    let copy = target.create(status.mode & 0o777 | 0o600)?;
    copy_with_holes(&file, &copy, status.size).map_err(|problem| TreeError {
        at: source.at().to_owned(),
        problem: Problem::Io {
            verb: "copied",
            source: problem,
        },
    })
}

/// Copies the first `size` bytes of a file into an empty one, which takes no more of the disk than that: where one is a hole,
/// so is the other. A file that takes no space can be larger than any disk. Somebody may write to it meanwhile, without end.
fn copy_with_holes(mut from: &File, mut to: &File, size: u64) -> io::Result<()> {
    let mut at = 0;
    while at < size {
        let data = match seek(from, SeekFrom::Data(at)) {
            Ok(data) => data,
            // Nothing but a hole is left, or the file is shorter now.
            Err(Errno::NXIO) => break,
            // A filesystem that does not know its holes.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => at,
            Err(errno) => return Err(errno.into()),
        };
        if data >= size {
            break;
        }
        let end = match seek(from, SeekFrom::Hole(data)) {
            // Cut out this moment, it may be a hole itself; then it is copied as a byte, so that this comes to an end.
            Ok(hole) => hole.clamp(data + 1, size),
            Err(Errno::NXIO) => break,
            Err(Errno::INVAL | Errno::OPNOTSUPP) => size,
            Err(errno) => return Err(errno.into()),
        };
        seek(from, SeekFrom::Start(data))?;
        seek(to, SeekFrom::Start(data))?;
        io::copy(&mut from.by_ref().take(end - data), &mut to)?;
        at = end;
    }
    to.set_len(size)
}
