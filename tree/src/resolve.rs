//! From a folder and a path to a handle.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::OnceLock;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, StatxFlags};
use rustix::io::{Errno, Result};

/// Who looks at each component of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolver {
    /// The kernel, in one call: `openat2`.
    Kernel,
    /// This program, one component after the other: for kernels before 5.6, and for filters that do not know the call.
    Walk,
}

impl Resolver {
    /// The better one of those that work here. Tried out once.
    pub fn of_this_machine() -> Resolver {
        static FOUND: OnceLock<Resolver> = OnceLock::new();
        *FOUND.get_or_init(|| {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            // ENOSYS of an old kernel, EPERM of a filter. Whatever it is, the walk needs nothing that could be missing.
            match rustix::fs::openat2(CWD, ".", flags, Mode::empty(), rules()) {
                Ok(_) => Resolver::Kernel,
                Err(_) => Resolver::Walk,
            }
        })
    }

    /// Opens what is at a checked path below a folder. A link, or a mount, is an error wherever it stands in the path;
    /// which error says no more than that it was not opened, see `Folder::explain`.
    pub(crate) fn open(
        self,
        folder: BorrowedFd<'_>,
        path: &OsStr,
        flags: OFlags,
        mode: Mode,
    ) -> Result<OwnedFd> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match self {
            Resolver::Kernel => {
                match rustix::fs::openat2(folder, path, flags, mode, rules()) {
                    // The kernel was disturbed by a rename elsewhere; the walk is not.
                    Err(Errno::AGAIN) => walk(folder, path, flags, mode),
                    opened => opened,
                }
            }
            Resolver::Walk => walk(folder, path, flags, mode),
        }
    }
}

fn rules() -> ResolveFlags {
    ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV
}

fn walk(folder: BorrowedFd<'_>, path: &OsStr, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
    let mount = Mount::of(folder)?;
    let on_it = |fd: OwnedFd| match Mount::of(fd.as_fd())? == mount {
        true => Ok(fd),
        false => Err(Errno::XDEV),
    };
    let mut names = path.as_bytes().split(|&byte| byte == b'/').peekable();
    let mut held: Option<OwnedFd> = None;
    while let Some(name) = names.next() {
        let at = held.as_ref().map_or(folder, AsFd::as_fd);
        if names.peek().is_none() {
            return on_it(rustix::fs::openat(at, name, flags, mode)?);
        }
        // A link is no folder, and with these flags it is not followed.
        let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        held = Some(on_it(rustix::fs::openat(at, name, step, Mode::empty())?)?);
    }
    Err(Errno::NOENT)
}

/// Where something is mounted: the number of the mount where the kernel tells it (5.8), else of the filesystem, which does
/// not tell a folder from itself mounted elsewhere.
#[derive(PartialEq, Eq)]
struct Mount(u64, u64);

impl Mount {
    fn of(fd: BorrowedFd<'_>) -> Result<Mount> {
        match rustix::fs::statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID) {
            Ok(found) => {
                let device = u64::from(found.stx_dev_major) << 32 | u64::from(found.stx_dev_minor);
                let told = found.stx_mask & StatxFlags::MNT_ID.bits() != 0;
                Ok(Mount(device, if told { found.stx_mnt_id } else { 0 }))
            }
            Err(Errno::NOSYS | Errno::PERM) => {
                let status = crate::status::Status::of(&rustix::fs::fstat(fd)?);
                Ok(Mount(status.id.device, 0))
            }
            Err(error) => Err(error),
        }
    }
}
