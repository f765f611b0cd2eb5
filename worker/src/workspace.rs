//! The folders of one action, emptied when it is over and used again by a later one.
//!
//! They are used again because making and removing folders is what costs most on ext4: it does not give the number of a
//! removed inode out again for about a minute, and looks at every such number on its way to a free one, so that each new
//! folder costs more the more actions there were (measured: a quarter of all time after 600 actions).

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{ExecuteError, Result};
use crate::process::Spawned;
use crate::protocol::Setup;

/// How many launchers wait in one workspace: each is a process, and few builds have more than two kinds of sandboxes.
const LAUNCHERS: usize = 2;

/// Permissions of a folder that may be kept: those that we made it with.
const FOLDER_MODE: u32 = 0o755;

/// The workspaces of one process that no action has at the moment. As many as there were actions at once.
#[derive(Debug)]
pub(crate) struct Workspaces {
    scratch: PathBuf,
    idle: Mutex<Vec<Idle>>,
}

/// A workspace that no action has.
#[derive(Debug, Default)]
struct Idle {
    base: PathBuf,
    launchers: Vec<Spawned>,
}

/// Three folders beside each other: the exec root, a private `/tmp`, and a place to build the sandbox's root on. And the
/// launchers of earlier actions that see these folders, one for each setup that was asked for.
///
/// When this is dropped every file in them goes; no process of an action may run any more by then.
#[derive(Debug)]
pub(crate) struct Workspace {
    base: PathBuf,
    /// The oldest first.
    launchers: Vec<Spawned>,
    /// A process of the action may still be there and write. So it is until the opposite is known, however an action is left.
    tainted: bool,
    all: Arc<Workspaces>,
}

impl Workspaces {
    /// Workspaces in a folder that is this process's own.
    pub fn new(scratch: PathBuf) -> Arc<Workspaces> {
        Arc::new(Workspaces {
            scratch,
            idle: Mutex::default(),
        })
    }

    /// One that nobody else has, without a file in it. What folders its exec root has is decided by
    /// [`lay_out`](Workspace::lay_out).
    ///
    /// It is not used again unless it is [settled](Workspace::settle).
    pub fn take(self: &Arc<Self>) -> Result<Workspace> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        if let Some(Idle { base, launchers }) = idle {
            return Ok(Workspace {
                base,
                launchers,
                tainted: true,
                all: self.clone(),
            });
        }
        // Counted for the whole process: two executors may share a store, and with it the folder.
        static MADE: AtomicU64 = AtomicU64::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let base = self.scratch.join(number.to_string());
        make_folder(&base)?;
        let workspace = Workspace {
            base,
            launchers: Vec::new(),
            tainted: true,
            all: self.clone(),
        };
        for folder in [workspace.exec(), workspace.tmp(), workspace.root()] {
            make_folder(&folder)?;
        }
        Ok(workspace)
    }
}

impl Workspace {
    /// The folder that is mounted or written as the exec root. Its name is short: it is put into many texts.
    pub fn exec(&self) -> PathBuf {
        self.base.join("x")
    }

    /// What a sandbox shows as `/tmp`. On disk, so that a linker's large temporary files do not take memory.
    pub fn tmp(&self) -> PathBuf {
        self.base.join("t")
    }

    /// Stays empty: mounts on it are seen only inside the sandbox.
    pub fn root(&self) -> PathBuf {
        self.base.join("r")
    }

    /// Gives the exec root these folders, relative to it, and no others. With a folder its parents must be there too.
    pub fn lay_out(&self, folders: &BTreeSet<PathBuf>) -> Result<()> {
        let exec = self.exec();
        let mut present = BTreeSet::new();
        keep_only(&exec, Path::new(""), folders, &mut present)
            .map_err(ExecuteError::io("tidying the folder", &exec))?;
        // Parents sort before what is in them.
        folders
            .difference(&present)
            .try_for_each(|folder| make_folder(&exec.join(folder)))
    }

    /// A launcher with these surroundings that an earlier action has left here and that still serves.
    pub fn launcher(&mut self, setup: &Setup) -> Option<Spawned> {
        let kept = &mut self.launchers;
        let place = kept.iter().position(|kept| kept.setup() == setup)?;
        let mut launcher = kept.remove(place);
        (launcher.waits() && launcher.shows_the_present()).then_some(launcher)
    }

    /// Leaves a launcher to later actions. The oldest goes when there are too many, and is waited for.
    pub fn keep(&mut self, launcher: Spawned) {
        if self.launchers.len() == LAUNCHERS {
            self.launchers.remove(0);
        }
        self.launchers.push(launcher);
    }

    /// Lets others have this: no process of the present action is there any more.
    pub fn settle(&mut self) {
        self.tainted = false;
    }

    /// False when it cannot be had as it was.
    fn empty(&self) -> io::Result<bool> {
        let (exec, tmp) = (self.exec(), self.tmp());
        // These are shown to the action themselves.
        if !is_ours(&fs::symlink_metadata(&exec)?) || !is_ours(&fs::symlink_metadata(&tmp)?) {
            return Ok(false);
        }
        remove_files(&exec)?;
        for entry in fs::read_dir(tmp)? {
            remove(&entry?)?;
        }
        Ok(true)
    }
}

/// Whether this is a folder as we make them.
fn is_ours(metadata: &fs::Metadata) -> bool {
    metadata.is_dir() && metadata.permissions().mode() & 0o7777 == FOLDER_MODE
}

impl Drop for Workspaces {
    fn drop(&mut self) {
        let idle = self.idle.get_mut().unwrap_or_else(PoisonError::into_inner);
        // All at once; each is waited for when it is dropped.
        for launcher in idle.iter().flat_map(|idle| &idle.launchers) {
            launcher.hang_up();
        }
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if !self.tainted && self.empty().is_ok_and(|as_it_was| as_it_was) {
            let mut idle = self.all.idle.lock().unwrap_or_else(PoisonError::into_inner);
            return idle.push(Idle {
                base: std::mem::take(&mut self.base),
                launchers: std::mem::take(&mut self.launchers),
            });
        }
        self.launchers.clear();
        if let Err(error) = fs::remove_dir_all(&self.base) {
            // The store sweeps what is left when this process has ended.
            tracing::warn!(folder = %self.base.display(), %error, "cannot remove the folder of an action");
        }
    }
}

fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir(folder)
        // Whatever the umask of the user, it is kept only if it has this.
        .and_then(|()| fs::set_permissions(folder, fs::Permissions::from_mode(FOLDER_MODE)))
        .map_err(ExecuteError::io("making the folder", folder))
}

/// Removes all but the wanted folders, and notes which of those there are.
fn keep_only(
    folder: &Path,
    name: &Path,
    wanted: &BTreeSet<PathBuf>,
    present: &mut BTreeSet<PathBuf>,
) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = name.join(entry.file_name());
        if wanted.contains(&name) {
            keep_only(&entry.path(), &name, wanted, present)?;
            present.insert(name);
        } else {
            remove(&entry)?;
        }
    }
    Ok(())
}

/// Removes everything but folders as we make them.
fn remove_files(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() && is_ours(&entry.metadata()?) {
            true => remove_files(&entry.path())?,
            false => remove(&entry)?,
        }
    }
    Ok(())
}

fn remove(entry: &fs::DirEntry) -> io::Result<()> {
    match entry.file_type()?.is_dir() {
        true => fs::remove_dir_all(entry.path()),
        false => fs::remove_file(entry.path()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(names: &[&str]) -> BTreeSet<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    fn tree(folder: &Path, name: &Path, found: &mut BTreeSet<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = name.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                tree(&entry.path(), &name, found);
            }
            found.insert(name);
        }
    }

    #[test]
    fn a_workspace_keeps_the_two_launchers_that_came_last() {
        let scratch = tempfile::tempdir().unwrap();
        let all = Workspaces::new(scratch.path().to_owned());
        let mut workspace = all.take().unwrap();
        // To wait for the end of its input is all that is asked of it here.
        let launcher = crate::process::Launcher {
            program: "cat".into(),
            args: Vec::new(),
        };
        let setup = |root: &str| Setup {
            sandbox: Some(crate::protocol::Sandbox {
                root: root.to_owned(),
                ..Default::default()
            }),
        };
        for root in ["1", "2", "3"] {
            workspace.keep(Spawned::start(&launcher, &setup(root)).unwrap());
        }
        let kept: Vec<&Setup> = workspace.launchers.iter().map(Spawned::setup).collect();
        assert_eq!(kept, [&setup("2"), &setup("3")]);
    }

    #[test]
    fn a_workspace_is_used_again_and_nothing_is_seen_of_its_last_use() {
        let scratch = tempfile::tempdir().unwrap();
        let all = Workspaces::new(scratch.path().to_owned());
        let mut first = all.take().unwrap();
        let (exec, tmp) = (first.exec(), first.tmp());
        first
            .lay_out(&folders(&["w", "main", "main/a", "main/b"]))
            .unwrap();
        fs::write(exec.join("main/a/x"), "x").unwrap();
        fs::create_dir(exec.join("w/made")).unwrap();
        fs::set_permissions(exec.join("main/b"), fs::Permissions::from_mode(0o777)).unwrap();
        std::os::unix::fs::symlink("/", exec.join("w/link")).unwrap();
        fs::create_dir(tmp.join("dir")).unwrap();
        fs::write(tmp.join("dir/file"), "x").unwrap();
        first.settle();
        drop(first);

        let mut second = all.take().unwrap();
        assert_eq!(second.exec(), exec);
        let wanted = folders(&["w", "main", "main/b", "main/c"]);
        second.lay_out(&wanted).unwrap();
        let mut found = BTreeSet::new();
        tree(&exec, Path::new(""), &mut found);
        assert_eq!(found, wanted);
        assert_eq!(
            fs::metadata(exec.join("main/b"))
                .unwrap()
                .permissions()
                .mode()
                & 0o777,
            0o755
        );
        assert_eq!(fs::read_dir(&tmp).unwrap().count(), 0);
        assert_ne!(all.take().unwrap().exec(), exec);
        second.settle();
        drop(second);

        let unsettled = all.take().unwrap();
        assert_eq!(unsettled.exec(), exec);
        drop(unsettled);
        assert!(!exec.exists());
        assert_ne!(all.take().unwrap().exec(), exec);
    }
}
