//! The folders of one action, emptied when it is over and used again by a later one.
//!
//! They are used again because making and removing folders is what costs most on ext4: it does not give the number of a
//! removed inode out again for about a minute, and looks at every such number on its way to a free one, so that each new
//! folder costs more the more actions there were (measured: a quarter of all time after 600 actions).
//!
//! What an action has left there is looked at and removed by the handles of the folders, which are held from when they were
//! made: an action without a sandbox can put something else in the place of any of them, and a link anywhere.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gofarm_tree::{Folder, Kind, Status, TreeError, TreePath};

use super::protocol::Setup;
use super::tools::Spawned;
use crate::error::{ExecuteError, Result};
use crate::tree::FOLDER_MODE;

/// How many launchers wait in one workspace: each is a process, and few builds have more than two kinds of sandboxes.
const LAUNCHERS: usize = 2;

/// The workspaces of one process that no action has at the moment. As many as there were actions at once.
#[derive(Debug)]
pub(crate) struct Workspaces {
    path: PathBuf,
    scratch: Folder,
    idle: Mutex<Vec<Idle>>,
}

/// A workspace that no action has.
#[derive(Debug)]
struct Idle {
    places: Places,
    launchers: Vec<Spawned>,
}

/// The folders of a workspace: their common name, which is told to launchers, and their handles.
#[derive(Debug, Clone)]
struct Places {
    name: String,
    base: Arc<Folder>,
    exec: Arc<Folder>,
    tmp: Arc<Folder>,
}

/// The exec root. Its name is short: it is put into many texts.
const EXEC: &str = "x";
/// What is seen as `/tmp`.
const TMP: &str = "t";
/// What a sandbox's root is built on.
const ROOT: &str = "r";

/// Three folders beside each other: the exec root, a private `/tmp`, and a place to build the sandbox's root on. And the
/// launchers of earlier actions that see these folders, one for each setup that was asked for.
///
/// When this is dropped every file in them goes; no process of an action may run any more by then.
#[derive(Debug)]
pub(crate) struct Workspace {
    places: Places,
    /// The oldest first.
    launchers: Vec<Spawned>,
    /// A process of the action may still be there and write. So it is until the opposite is known, however an action is left.
    tainted: bool,
    all: Arc<Workspaces>,
}

impl Workspaces {
    /// Workspaces in a folder that is this process's own.
    pub fn new(scratch: &Path) -> Result<Arc<Workspaces>> {
        let folder = Folder::open(scratch).map_err(ExecuteError::io("opening", scratch))?;
        Ok(Arc::new(Workspaces {
            path: scratch.to_owned(),
            scratch: folder,
            idle: Mutex::default(),
        }))
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
        let Idle { places, launchers } = match idle {
            Some(idle) => idle,
            None => Idle {
                places: self.make().map_err(|error| self.failed("making", error))?,
                launchers: Vec::new(),
            },
        };
        Ok(Workspace {
            places,
            launchers,
            tainted: true,
            all: self.clone(),
        })
    }

    fn make(&self) -> gofarm_tree::Result<Places> {
        // Counted for the whole process: two executors may share a store, and with it the folder.
        static MADE: AtomicU64 = AtomicU64::new(0);
        let name = MADE.fetch_add(1, Ordering::Relaxed).to_string();
        let make = |parent: &Folder, name: &str| {
            parent.make_folder(name, FOLDER_MODE)?;
            parent.child_folder(name)
        };
        let base = make(&self.scratch, &name)?;
        make(&base, ROOT)?;
        Ok(Places {
            exec: Arc::new(make(&base, EXEC)?),
            tmp: Arc::new(make(&base, TMP)?),
            base: Arc::new(base),
            name,
        })
    }

    fn failed(&self, what: &str, error: TreeError) -> ExecuteError {
        ExecuteError::io(format!("{what} a workspace in"), &self.path)(error.into())
    }
}

impl Workspace {
    fn path(&self, name: &str) -> PathBuf {
        self.all.path.join(&self.places.name).join(name)
    }

    /// The name of the folder that is mounted or written as the exec root.
    pub fn exec(&self) -> PathBuf {
        self.path(EXEC)
    }

    /// What a sandbox shows as `/tmp`. On disk, so that a linker's large temporary files do not take memory.
    pub fn tmp(&self) -> PathBuf {
        self.path(TMP)
    }

    /// Stays empty: mounts on it are seen only inside the sandbox.
    pub fn root(&self) -> PathBuf {
        self.path(ROOT)
    }

    /// The exec root itself.
    pub fn tree(&self) -> Arc<Folder> {
        self.places.exec.clone()
    }

    /// What a sandbox shows as `/tmp`, itself.
    pub fn tmp_tree(&self) -> Arc<Folder> {
        self.places.tmp.clone()
    }

    /// Gives the exec root these folders, sorted, and no others. With a folder its parents must be there too.
    pub fn lay_out(&self, folders: &[TreePath<'_>]) -> Result<()> {
        let exec = &self.places.exec;
        let mut present = vec![false; folders.len()];
        let wanted = |folder: &Path| {
            let folder = folder.to_str()?;
            let at = folders.binary_search_by(|wanted| wanted.text().cmp(folder));
            at.ok()
        };
        exec.retain(&mut |folder, _| {
            let at = wanted(folder);
            if let Some(at) = at {
                present[at] = true;
            }
            at.is_some()
        })
        .and_then(|()| {
            // Parents sort before what is in them.
            let missing = folders
                .iter()
                .zip(&present)
                .filter(|(_, present)| !**present);
            missing
                .into_iter()
                .try_for_each(|(folder, _)| make_below(exec, *folder))
        })
        .map_err(|error| self.all.failed("tidying", error))
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
    fn empty(&self) -> gofarm_tree::Result<bool> {
        let Places {
            name,
            base,
            exec,
            tmp,
        } = &self.places;
        let scratch = &self.all.scratch;
        for (parent, name, folder) in [
            (scratch, name.as_str(), base),
            (base, EXEC, exec),
            (base, TMP, tmp),
        ] {
            // These are shown to the action themselves; without a sandbox it may have put something else in their place.
            let status = folder.status()?;
            let named = parent.child(OsStr::new(name))?.status()?;
            if !is_ours(&status) || named.map(|named| named.id) != Some(status.id) {
                return Ok(false);
            }
        }
        exec.retain(&mut |_, status| is_ours(status))?;
        tmp.retain(&mut |_, _| false)?;
        Ok(true)
    }
}

/// Whether this is a folder as we make them.
fn is_ours(status: &Status) -> bool {
    status.kind == Kind::Folder && status.mode == FOLDER_MODE && status.is_own()
}

/// Makes a folder whose parent is there.
fn make_below(exec: &Folder, path: TreePath<'_>) -> gofarm_tree::Result<()> {
    match path.parent() {
        None => exec.make_folder(path.name(), FOLDER_MODE),
        Some(parent) => exec.folder(parent)?.make_folder(path.name(), FOLDER_MODE),
    }
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
                places: self.places.clone(),
                launchers: std::mem::take(&mut self.launchers),
            });
        }
        self.launchers.clear();
        let Places {
            name, exec, tmp, ..
        } = &self.places;
        for folder in [exec, tmp] {
            // By their handles, should they have other names by now. What cannot be done so is done by the next.
            let _ = folder.retain(&mut |_, _| false);
        }
        if let Err(error) = self.all.scratch.remove(OsStr::new(name)) {
            // The store sweeps what is left when this process has ended.
            let folder = self.all.path.display();
            tracing::warn!(%folder, %name, %error, "cannot remove the folder of an action");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn folders<'a>(names: &[&'a str]) -> Vec<TreePath<'a>> {
        let names = names.iter().map(|name| TreePath::new(name).unwrap());
        names.collect()
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
        let all = Workspaces::new(scratch.path()).unwrap();
        let mut workspace = all.take().unwrap();
        // To wait for the end of its input is all that is asked of it here.
        let launcher = crate::sandbox::Launcher {
            program: "cat".into(),
            args: Vec::new(),
        };
        let setup = |root: &str| Setup {
            sandbox: Some(crate::sandbox::protocol::Sandbox {
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
        let all = Workspaces::new(scratch.path()).unwrap();
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
        let wanted: BTreeSet<PathBuf> = wanted.iter().map(|folder| folder.text().into()).collect();
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
