//! The seal: what one `stat` can tell about a blob.
//!
//! A blob is sealed once, when its bytes are known to be right: mode 0555 and a fixed modification time.
//! Every write, by whatever hard link, moves the modification time to now, so a sealed file still has the
//! bytes it had. Linking and unlinking change only the time of the last status change, which the seal does
//! not look at. Permissions alone would not do: root ignores them.

use std::fs::{File, FileTimes, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// 2009-11-10 23:00:00 UTC, the moment when every program of the Go playground runs: recognizable in a
/// listing. A whole, even number of seconds, so that filesystems with coarse times keep it.
const SEALED_AT: u64 = 1_257_894_000;

/// Readable and executable for all, writable for nobody: one inode serves as data and as program.
const MODE: u32 = 0o555;

/// How old an access time may be before it is set again. Coarse, so that a warm build sets none; eviction
/// allows for it.
pub(crate) const TOUCH_AFTER: Duration = Duration::from_secs(60);

/// True when this is a sealed blob of that size.
pub(crate) fn is_sealed(metadata: &Metadata, size: u64) -> bool {
    is_unwritten(metadata, size) && metadata.mode() & 0o777 == MODE
}

/// True when this was sealed with that size and nobody has written to it in the ordinary way since, whatever its permissions
/// have become.
pub(crate) fn is_unwritten(metadata: &Metadata, size: u64) -> bool {
    metadata.is_file()
        && metadata.len() == size
        && metadata.mtime() == SEALED_AT as i64
        && metadata.mtime_nsec() == 0
}

/// Seals a file whose bytes are known, and marks it as used now.
pub(crate) fn seal(file: &File) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(MODE))?;
    let times = FileTimes::new()
        .set_modified(UNIX_EPOCH + Duration::from_secs(SEALED_AT))
        .set_accessed(SystemTime::now());
    file.set_times(times)
}

/// True when the access time is too old to stand for "used now". A time in the future (the clock was set
/// back) is wrong as well.
pub(crate) fn needs_touch(metadata: &Metadata, now: SystemTime) -> bool {
    let accessed = accessed(metadata);
    accessed + TOUCH_AFTER < now || accessed > now + TOUCH_AFTER
}

/// Marks a file as used now, and leaves its modification time alone.
pub(crate) fn touch(file: &File) -> io::Result<()> {
    file.set_times(FileTimes::new().set_accessed(SystemTime::now()))
}

/// When a blob or an entry was last used: the clock of eviction.
pub(crate) fn accessed(metadata: &Metadata) -> SystemTime {
    let seconds = Duration::from_secs(metadata.atime().unsigned_abs());
    let fraction = Duration::from_nanos(metadata.atime_nsec().unsigned_abs());
    if metadata.atime() < 0 {
        UNIX_EPOCH
    } else {
        UNIX_EPOCH + seconds + fraction
    }
}
