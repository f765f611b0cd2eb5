//! Opening what stands in the place of a file of the store. It may be anything: whoever may write the folder may have put it there.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens for reading. Of a pipe, nobody's end is waited for; reading it gives nothing, or says that it would have to wait.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    open_with(path, OFlags::empty())
}

/// All that is read of it.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// As [`open`], with these flags besides.
pub(crate) fn open_with(path: &Path, flags: OFlags) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | flags;
    File::options()
        .read(true)
        .custom_flags(flags.bits() as i32)
        .open(path)
}
