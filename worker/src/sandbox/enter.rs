//! The sandbox, seen from inside: entering namespaces and building the file tree that an action sees.
//!
//! User, mount, network and IPC namespaces. The action's processes run under a user ID that is the worker's own outside
//! and an ordinary one inside, without any capability: so even a worker run by root cannot, through a hard link, write into
//! a read-only blob of the store. They see the new root, which is empty but for what [`Sandbox`] lists.
//!
//! Making all this costs more than many an action (2 ms of CPU time, a third of it for the network namespace alone), so one
//! sandbox serves the actions of one workspace, one after the other; see [`renew`]. Never two at once: abstract unix sockets
//! are shared within a network namespace.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{getgid, getuid, pivot_root};

use super::protocol::{Mount, Sandbox};

/// The user and group inside. Anything but 0, which would keep its capabilities over exec.
const INSIDE_ID: u32 = 1000;

const NONE: Option<&str> = None;

/// Which part of the sandbox could not be made.
#[derive(Debug, thiserror::Error)]
#[error("{tried}: {source}")]
pub struct EnterError {
    tried: String,
    source: io::Error,
}

/// Adds what was tried to a system error.
trait Tried<T> {
    fn tried(self, what: impl FnOnce() -> String) -> Result<T, EnterError>;
}

impl<T, E: Into<io::Error>> Tried<T> for Result<T, E> {
    fn tried(self, what: impl FnOnce() -> String) -> Result<T, EnterError> {
        self.map_err(|error| EnterError {
            tried: what(),
            source: error.into(),
        })
    }
}

/// Moves this process, which must have one thread, into the sandbox.
pub fn enter(sandbox: &Sandbox) -> Result<(), EnterError> {
    let (user, group) = (getuid(), getgid());
    // Actions have an IPC namespace each; see `renew`. This one is to find out at once whether that is allowed.
    let namespaces = CloneFlags::CLONE_NEWUSER
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWIPC;
    unshare(namespaces).tried(|| "making user, mount, network and ipc namespaces".to_owned())?;
    // Without this a process may not map its group.
    write_map("setgroups", "deny".to_owned())?;
    write_map("uid_map", format!("{INSIDE_ID} {user} 1"))?;
    write_map("gid_map", format!("{INSIDE_ID} {group} 1"))?;

    // Nothing that is mounted from here on is seen outside.
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)
        .tried(|| "making mounts private".to_owned())?;
    let root = Path::new(&sandbox.root);
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(
        Some("tmpfs"),
        root,
        Some("tmpfs"),
        flags,
        Some("size=16m,mode=755"),
    )
    .tried(|| format!("mounting a new root on {}", root.display()))?;
    for entry in &sandbox.mounts {
        bind(root, entry)?;
    }
    for folder in &sandbox.folders {
        let path = inside(root, folder);
        fs::create_dir_all(&path).tried(|| format!("making {}", path.display()))?;
    }
    for link in &sandbox.links {
        let path = inside(root, &link.path);
        make_parent(&path)?;
        symlink(&link.target, &path).tried(|| format!("linking {}", path.display()))?;
    }
    std::env::set_current_dir(root).tried(|| format!("entering {}", root.display()))?;
    // The old root is stacked over the new one and then let go: no folder is needed to put it in.
    pivot_root(".", ".").tried(|| "changing the root".to_owned())?;
    umount2(".", MntFlags::MNT_DETACH).tried(|| "leaving the old root".to_owned())?;
    std::env::set_current_dir("/").tried(|| "entering the new root".to_owned())?;
    // The root is memory that outlives an action; what may be written is what the worker empties.
    let flags = flags | MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    mount(NONE, "/", NONE, flags, NONE).tried(|| "making the new root read-only".to_owned())
}

/// Makes this process's sandbox fit for an action, the first or another: what the processes of the last one may have left
/// where no file shows it, goes. To be called by the thread that starts processes, when it has none.
///
/// What outlives the processes of an action is files, which are the worker's matter, and System V and POSIX IPC objects. So
/// there is a new IPC namespace for each, also for the first: other threads of the launcher stay in the one that they began
/// in, and would hold the objects of whoever was there. The last action's objects stay while the launcher is idle. Mounts
/// and network were never theirs to change, since they have no capability over these namespaces, and a network namespace
/// without a process has no socket, not even an abstract one.
///
/// What a tool does to the launcher itself outlives it too. Resource limits are looked at by the launcher. Its priority and
/// CPU affinity, and the user's kernel keyring, are not: no tool is known that changes those of its parent.
pub fn renew() -> Result<(), EnterError> {
    unshare(CloneFlags::CLONE_NEWIPC).tried(|| "making an ipc namespace".to_owned())
}

fn write_map(name: &str, text: String) -> Result<(), EnterError> {
    let path = format!("/proc/self/{name}");
    fs::write(&path, text).tried(|| format!("writing {path}"))
}

/// A sandbox path as it is reached before the root is changed.
fn inside(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

fn make_parent(path: &Path) -> Result<(), EnterError> {
    match path.parent() {
        Some(parent) => fs::create_dir_all(parent).tried(|| format!("making {}", parent.display())),
        None => Ok(()),
    }
}

fn bind(root: &Path, entry: &Mount) -> Result<(), EnterError> {
    let from = Path::new(&entry.from);
    let to = inside(root, &entry.to);
    let is_folder = fs::metadata(from)
        .tried(|| format!("reading {}", from.display()))?
        .is_dir();
    if is_folder {
        fs::create_dir_all(&to).tried(|| format!("making {}", to.display()))?;
    } else {
        make_parent(&to)?;
        fs::write(&to, "").tried(|| format!("making {}", to.display()))?;
    }
    // Recursive: the kernel refuses to show a folder without what is mounted below it.
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some(from), &to, NONE, flags, NONE)
        .tried(|| format!("mounting {} at {}", from.display(), entry.to))?;
    if entry.writable {
        return Ok(());
    }
    // Restrictions of the original mount must be named again or the kernel takes this for an attempt to lift them.
    let kept = statvfs(&to)
        .tried(|| format!("reading the mount of {}", from.display()))?
        .flags();
    let mut flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    for (restriction, flag) in [
        (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
        (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
    ] {
        flags.set(flag, kept.contains(restriction));
    }
    mount(NONE, &to, NONE, flags, NONE).tried(|| format!("making {} read-only", entry.to))
}
