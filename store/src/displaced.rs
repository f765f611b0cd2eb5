//! What stands where a file or folder of the cache must be, and is of another kind: a folder, a socket, a pipe. It is renamed, and what
//! belongs there is made anew, since all of a cache can be.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::error::{Result, io_error};
use crate::layout::{Layout, unique_name};

/// What belongs somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    File,
    Folder,
}

/// Renames what is at `path`, where it is not what is wanted. A link is left alone: it is somebody's wish, and may lead to a disk that is
/// not there just now.
pub(crate) fn make_way(path: &Path, wanted: Wanted) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    let fits = match wanted {
        Wanted::File => metadata.is_file(),
        Wanted::Folder => metadata.is_dir(),
    };
    if fits || metadata.is_symlink() {
        return Ok(());
    }
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".displaced-{}", unique_name()));
    match fs::rename(path, aside) {
        // Another process was first.
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// The same for all that a cache has at fixed places, if `tag` says that this folder is one: of another folder nothing is moved.
pub(crate) fn heal(layout: &Layout, tag: &str) -> Result<()> {
    let path = layout.cachedir_tag();
    let is_file = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file());
    if !(is_file && fs::read(&path).is_ok_and(|there| there == tag.as_bytes())) {
        return Ok(());
    }
    // Two that look at one time would each move what the other has put there since.
    let folder =
        File::open(layout.root()).map_err(io_error("open", layout.root(), layout.root()))?;
    folder
        .lock()
        .map_err(io_error("lock", layout.root(), layout.root()))?;
    let clear = |path: &Path, wanted: Wanted| {
        make_way(path, wanted).map_err(io_error("set aside", path, layout.root()))
    };
    let files = [
        layout.format(),
        layout.gate(),
        layout.evict_lock(),
        layout.tally(),
    ];
    for file in files {
        clear(&file, Wanted::File)?;
    }
    for folder in layout.folders().iter().skip(1) {
        clear(folder, Wanted::Folder)?;
    }
    for folder in [layout.cas(), layout.actions()] {
        // What is not there yet has nothing in the way.
        for shard in fs::read_dir(&folder).into_iter().flatten().flatten() {
            // No entry but a shard has two letters.
            if shard.file_name().len() == 2 && !shard.file_type().is_ok_and(|kind| kind.is_dir()) {
                clear(&shard.path(), Wanted::Folder)?;
            }
        }
    }
    Ok(())
}
