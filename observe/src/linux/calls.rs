//! The system calls that name files, and what each asks.

use gofarm_sys::Filter;

use crate::Kind;

/// Where in a call's arguments a path is, and what is asked of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named {
    /// The argument that is the folder before a relative path; `None` for the working folder.
    pub folder: Option<usize>,
    /// The argument that is the path.
    pub path: usize,
    /// What is asked.
    pub asks: Asks,
}

/// What is asked; a number is the argument that decides.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asks {
    /// This.
    Kind(Kind),
    /// `open`'s flags decide.
    Open(usize),
    /// The flags of `struct open_how`, to which the argument points, decide.
    OpenHow(usize),
    /// A look: AT_SYMLINK_NOFOLLOW decides.
    Look(usize),
    /// A look: AT_SYMLINK_FOLLOW decides.
    LookFollow(usize),
}

/// What a call asks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Call {
    /// Of paths.
    Paths(&'static [Named]),
    /// The names in the folder that this argument has open.
    Folder(usize),
}

const FOLLOWED: Asks = Asks::Kind(Kind::Look { follow: true });
const ITSELF: Asks = Asks::Kind(Kind::Look { follow: false });
const CHANGES: Asks = Asks::Kind(Kind::Change);

/// A path behind the working folder.
const fn at(path: usize, asks: Asks) -> Named {
    Named {
        folder: None,
        path,
        asks,
    }
}

/// A path behind a folder that the argument before it names.
const fn below(path: usize, asks: Asks) -> Named {
    Named {
        folder: Some(path - 1),
        path,
        asks,
    }
}

/// Every call with a path in it that this kernel's headers name, but for those that need an administrator: mount, swapon and so on.
const CALLS: &[(i64, Call)] = &[
    (libc::SYS_openat, Call::Paths(&[below(1, Asks::Open(2))])),
    (
        libc::SYS_openat2,
        Call::Paths(&[below(1, Asks::OpenHow(2))]),
    ),
    (
        libc::SYS_newfstatat,
        Call::Paths(&[below(1, Asks::Look(3))]),
    ),
    (libc::SYS_statx, Call::Paths(&[below(1, Asks::Look(2))])),
    (libc::SYS_faccessat, Call::Paths(&[below(1, FOLLOWED)])),
    (
        libc::SYS_faccessat2,
        Call::Paths(&[below(1, Asks::Look(3))]),
    ),
    (
        libc::SYS_readlinkat,
        Call::Paths(&[below(1, Asks::Kind(Kind::ReadLink))]),
    ),
    (libc::SYS_getdents64, Call::Folder(0)),
    (
        libc::SYS_execve,
        Call::Paths(&[at(0, Asks::Kind(Kind::Execute))]),
    ),
    (
        libc::SYS_execveat,
        Call::Paths(&[below(1, Asks::Kind(Kind::Execute))]),
    ),
    (libc::SYS_chdir, Call::Paths(&[at(0, FOLLOWED)])),
    (libc::SYS_chroot, Call::Paths(&[at(0, FOLLOWED)])),
    (libc::SYS_statfs, Call::Paths(&[at(0, FOLLOWED)])),
    (libc::SYS_getxattr, Call::Paths(&[at(0, FOLLOWED)])),
    (libc::SYS_lgetxattr, Call::Paths(&[at(0, ITSELF)])),
    (libc::SYS_listxattr, Call::Paths(&[at(0, FOLLOWED)])),
    (libc::SYS_llistxattr, Call::Paths(&[at(0, ITSELF)])),
    (libc::SYS_inotify_add_watch, Call::Paths(&[at(1, FOLLOWED)])),
    (
        libc::SYS_name_to_handle_at,
        Call::Paths(&[below(1, Asks::LookFollow(4))]),
    ),
    (
        libc::SYS_renameat2,
        Call::Paths(&[below(1, CHANGES), below(3, CHANGES)]),
    ),
    (
        libc::SYS_renameat,
        Call::Paths(&[below(1, CHANGES), below(3, CHANGES)]),
    ),
    (libc::SYS_unlinkat, Call::Paths(&[below(1, CHANGES)])),
    (libc::SYS_mkdirat, Call::Paths(&[below(1, CHANGES)])),
    (libc::SYS_mknodat, Call::Paths(&[below(1, CHANGES)])),
    (
        libc::SYS_linkat,
        Call::Paths(&[below(1, CHANGES), below(3, CHANGES)]),
    ),
    (libc::SYS_symlinkat, Call::Paths(&[below(2, CHANGES)])),
    (libc::SYS_truncate, Call::Paths(&[at(0, CHANGES)])),
    (libc::SYS_fchmodat, Call::Paths(&[below(1, CHANGES)])),
    (FCHMODAT2, Call::Paths(&[below(1, CHANGES)])),
    (libc::SYS_fchownat, Call::Paths(&[below(1, CHANGES)])),
    (libc::SYS_utimensat, Call::Paths(&[below(1, CHANGES)])),
    (libc::SYS_setxattr, Call::Paths(&[at(0, CHANGES)])),
    (libc::SYS_lsetxattr, Call::Paths(&[at(0, CHANGES)])),
    (libc::SYS_removexattr, Call::Paths(&[at(0, CHANGES)])),
    (libc::SYS_lremovexattr, Call::Paths(&[at(0, CHANGES)])),
];

/// Newer than the C library's table; the same number everywhere (asm-generic/unistd.h).
const FCHMODAT2: i64 = 452;

/// Those that newer architectures do not have.
#[cfg(target_arch = "x86_64")]
const OLD_CALLS: &[(i64, Call)] = &[
    (libc::SYS_open, Call::Paths(&[at(0, Asks::Open(1))])),
    (
        libc::SYS_creat,
        Call::Paths(&[at(0, Asks::Kind(Kind::OpenWrite))]),
    ),
    (libc::SYS_stat, Call::Paths(&[at(0, FOLLOWED)])),
    (libc::SYS_lstat, Call::Paths(&[at(0, ITSELF)])),
    (libc::SYS_access, Call::Paths(&[at(0, FOLLOWED)])),
    (
        libc::SYS_readlink,
        Call::Paths(&[at(0, Asks::Kind(Kind::ReadLink))]),
    ),
    (libc::SYS_getdents, Call::Folder(0)),
    (
        libc::SYS_rename,
        Call::Paths(&[at(0, CHANGES), at(1, CHANGES)]),
    ),
    (libc::SYS_unlink, Call::Paths(&[at(0, CHANGES)])),
    (libc::SYS_rmdir, Call::Paths(&[at(0, CHANGES)])),
    (libc::SYS_mkdir, Call::Paths(&[at(0, CHANGES)])),
    (libc::SYS_mknod, Call::Paths(&[at(0, CHANGES)])),
    (
        libc::SYS_link,
        Call::Paths(&[at(0, CHANGES), at(1, CHANGES)]),
    ),
    (libc::SYS_symlink, Call::Paths(&[at(1, CHANGES)])),
    (libc::SYS_chmod, Call::Paths(&[at(0, CHANGES)])),
    (libc::SYS_chown, Call::Paths(&[at(0, CHANGES)])),
    (libc::SYS_lchown, Call::Paths(&[at(0, CHANGES)])),
    (libc::SYS_utime, Call::Paths(&[at(0, CHANGES)])),
    (libc::SYS_utimes, Call::Paths(&[at(0, CHANGES)])),
    (libc::SYS_futimesat, Call::Paths(&[below(1, CHANGES)])),
];
#[cfg(not(target_arch = "x86_64"))]
const OLD_CALLS: &[(i64, Call)] = &[];

/// Calls that reach files past all of the above.
const REFUSED: &[i64] = &[libc::SYS_io_uring_setup, libc::SYS_open_by_handle_at];

/// What a call asks.
pub(super) fn call(number: i64) -> Option<Call> {
    CALLS
        .iter()
        .chain(OLD_CALLS)
        .find(|(known, _)| *known == number)
        .map(|(_, call)| *call)
}

/// Stops a process at all of them.
pub(super) fn filter() -> Filter {
    let numbers: Vec<i64> = CALLS
        .iter()
        .chain(OLD_CALLS)
        .map(|(number, _)| *number)
        .collect();
    Filter::new(&numbers, REFUSED)
}

/// What `open` with these flags asks.
pub(super) fn open(flags: u64) -> Kind {
    let flags = flags as i32;
    if flags & libc::O_PATH != 0 {
        return Kind::Look {
            follow: flags & libc::O_NOFOLLOW == 0,
        };
    }
    let writes =
        flags & libc::O_ACCMODE != libc::O_RDONLY || flags & (libc::O_CREAT | libc::O_TRUNC) != 0;
    if writes { Kind::OpenWrite } else { Kind::Read }
}
