//! Where a path of a process is.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// A path longer than this is refused by the kernel.
const MOST: usize = 4096;
const PAGE: u64 = 4096;

/// A text in a thread's memory, up to its zero byte; `None` when there is none.
pub(super) fn text(tid: i32, address: u64) -> Option<Vec<u8>> {
    let mut found = Vec::new();
    let mut buffer = [0; PAGE as usize];
    let mut address = address;
    while found.len() <= MOST {
        // A page at most: behind its end nothing may be mapped. Most paths are short, so is the first part.
        let rest = (PAGE - address % PAGE) as usize;
        let part = &mut buffer[..rest.min(if found.is_empty() { 256 } else { rest })];
        let read = gofarm_sys::read_memory(tid, address, part).ok()?;
        let read = &part[..read];
        if let Some(end) = read.iter().position(|byte| *byte == 0) {
            found.extend_from_slice(&read[..end]);
            return Some(found);
        }
        if read.is_empty() {
            return None;
        }
        found.extend_from_slice(read);
        address += read.len() as u64;
    }
    None
}

/// A number in a thread's memory.
pub(super) fn number(tid: i32, address: u64) -> Option<u64> {
    let mut bytes = [0; 8];
    let read = gofarm_sys::read_memory(tid, address, &mut bytes).ok()?;
    (read == bytes.len()).then(|| u64::from_ne_bytes(bytes))
}

/// The path absolute; `folder` is the number of an open folder, or AT_FDCWD. `None` when that is not open: the call fails.
///
/// `rooted` says that some process has another root folder than the observer.
pub(super) fn absolute(tid: i32, folder: i32, text: &[u8], rooted: bool) -> Option<PathBuf> {
    let path = Path::new(OsStr::from_bytes(text));
    let from = if path.is_absolute() {
        if !rooted {
            return Some(plain(path));
        }
        fs::read_link(format!("/proc/{tid}/root")).ok()?
    } else if folder == libc::AT_FDCWD {
        fs::read_link(format!("/proc/{tid}/cwd")).ok()?
    } else {
        open_folder(tid, folder)?
    };
    let inside = path.strip_prefix("/").unwrap_or(path);
    Some(plain(&from.join(inside)))
}

/// What a number of an open file stands for.
pub(super) fn open_folder(tid: i32, folder: i32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{tid}/fd/{folder}")).ok()
}

/// Without `.` and doubled slashes.
fn plain(path: &Path) -> PathBuf {
    path.components()
        .filter(|component| *component != Component::CurDir)
        .collect()
}

/// The process of a thread.
pub(super) fn process_of(tid: i32) -> u32 {
    fs::read_to_string(format!("/proc/{tid}/status"))
        .ok()
        .and_then(|status| {
            let line = status.lines().find_map(|line| line.strip_prefix("Tgid:"))?;
            line.trim().parse().ok()
        })
        .unwrap_or(tid as u32)
}
