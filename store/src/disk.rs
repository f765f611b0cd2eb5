//! The store of one cache folder: opening it, and what its parts share.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gofarm_proto::Digest;

use crate::displaced;
use crate::error::{Result, StoreError, io_error};
use crate::gate::Gate;
use crate::known::Verification;
use crate::layout::{Layout, unique_name};
use crate::tally::Tally;
use crate::temporary::ProcessFolder;

/// The layout that this version reads and writes.
const FORMAT: &str = "gofarm cache 1";

/// See <https://bford.info/cachedir/>: the first line is fixed by that specification.
const CACHEDIR_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # This folder is the cache of gofarm. It can be removed at any time when no gofarm runs.\n";

/// How a [`DiskStore`] keeps itself in bounds.
#[derive(Debug, Clone)]
pub struct DiskStoreOptions {
    /// How many bytes blobs and action results may take on the disk, each rounded up to 4 KiB.
    /// [`DiskStore::evict`] brings the store below this; between evictions it may be above.
    pub max_bytes: u64,
    /// How long temporary files of a dead process are left alone. An orphaned tool may still be writing there.
    pub stale_after: Duration,
    /// How long a blob that this process has hashed is believed to have its bytes still, although nobody has written to its
    /// file: see [`DiskStore::verified`].
    pub verify_after: Duration,
}

impl Default for DiskStoreOptions {
    fn default() -> Self {
        DiskStoreOptions {
            max_bytes: 20 << 30,
            stale_after: Duration::from_secs(60 * 60),
            verify_after: Duration::from_secs(60 * 60),
        }
    }
}

/// Content-addressed store and action cache in one folder of the local disk.
///
/// Cheap to clone; all clones are the same store. Any number of threads and processes may have the same
/// folder open. When the last clone in a process goes, its scratch folder goes too.
#[derive(Debug, Clone)]
pub struct DiskStore {
    pub(crate) inner: Arc<Inner>,
}

/// What all clones of a store share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) layout: Layout,
    pub(crate) options: DiskStoreOptions,
    pub(crate) gate: Gate,
    pub(crate) tally: Tally,
    pub(crate) own: ProcessFolder,
    pub(crate) verification: Verification,
    pub(crate) corrupt_blobs: AtomicU64,
    pub(crate) corrupt_actions: AtomicU64,
}

/// Damage that one process has found since it opened the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundDamage {
    /// Blobs whose bytes were not those of their digest.
    pub blobs: u64,
    /// Entries of the action cache that were torn or malformed.
    pub actions: u64,
}

impl DiskStore {
    /// Opens the store in `root`, making the folder and what belongs in it.
    ///
    /// # Errors
    ///
    /// [`StoreError::InTheWay`] when something else stands where a folder must be, [`StoreError::Denied`],
    /// [`StoreError::ReadOnly`] and [`StoreError::Full`] when the folder cannot be written, and
    /// [`StoreError::Format`] when another version of gofarm made it.
    pub fn open(root: &Path, options: DiskStoreOptions) -> Result<DiskStore> {
        // Links and references to blobs must hold wherever the process stands later.
        let root = std::path::absolute(root).map_err(io_error("resolve", root, root))?;
        let layout = Layout::new(root);
        displaced::heal(&layout, CACHEDIR_TAG)?;
        for folder in layout.folders() {
            make_folder(&folder, layout.root())?;
        }
        let gate = Gate::open(layout.gate(), layout.root())?;
        let own = gate.exclusive(|| {
            // Inside the gate, so that no two processes write these, and that no sweep sees this process's
            // folder before its lock is held.
            check_format(&layout)?;
            ProcessFolder::create(&layout)
        })?;
        let tally = Tally::new(layout.tally(), options.max_bytes);
        Ok(DiskStore {
            inner: Arc::new(Inner {
                layout,
                options,
                gate,
                tally,
                own,
                verification: Verification::new(),
                corrupt_blobs: AtomicU64::new(0),
                corrupt_actions: AtomicU64::new(0),
            }),
        })
    }

    /// The cache folder.
    pub fn root(&self) -> &Path {
        self.inner.layout.root()
    }

    /// Whether the folder still has all that a store makes when it is opened, and others find in it what this process has open.
    /// Cheap.
    ///
    /// # Errors
    ///
    /// [`StoreError::TakenAway`] when it is not so; and when the folder cannot be looked at.
    pub fn in_place(&self) -> Result<()> {
        let layout = &self.inner.layout;
        let root = layout.root();
        let whole = || {
            for folder in layout.folders() {
                if !fs::metadata(folder)?.is_dir() {
                    return Ok(false);
                }
            }
            self.inner.gate.is_in_place()
        };
        let gone = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory];
        match whole() {
            Err(error) if gone.contains(&error.kind()) => Err(StoreError::TakenAway {
                root: root.to_owned(),
            }),
            Ok(true) => Ok(()),
            Ok(false) => Err(StoreError::TakenAway {
                root: root.to_owned(),
            }),
            Err(error) => Err(io_error("look at", root, root)(error)),
        }
    }

    /// Where the blob is, or would be: for references that stand in other files, and for mounts. Says
    /// nothing about the blob being there; [`check`](DiskStore::check) does.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.inner.layout.blob(digest)
    }

    /// A folder of this process alone, on the filesystem of the store, for exec roots and temporaries. It is
    /// removed with the store, or swept by a later process when this one dies.
    pub fn scratch_dir(&self) -> PathBuf {
        self.inner.own.scratch()
    }

    /// The damage that this process has found.
    pub fn found_damage(&self) -> FoundDamage {
        FoundDamage {
            blobs: self.inner.corrupt_blobs.load(Ordering::Relaxed),
            actions: self.inner.corrupt_actions.load(Ordering::Relaxed),
        }
    }

    /// [`io_error`] with this store's folder as the one to look at when the disk is full.
    pub(crate) fn failed<'a>(
        &'a self,
        verb: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> StoreError + use<'a> {
        io_error(verb, path, self.root())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Nobody is left to tell: an addition that is not written makes the next estimate a little low.
        let _ = self.tally.flush(&self.gate, &self.own);
    }
}

fn make_folder(folder: &Path, root: &Path) -> Result<()> {
    let in_the_way = |path: &Path| StoreError::InTheWay {
        path: path.to_owned(),
    };
    match fs::create_dir_all(folder) {
        Ok(()) => Ok(()),
        // `create_dir_all` is content with a folder, so this is something else.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Err(in_the_way(folder)),
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => {
            let file = folder.ancestors().find(|p| p.is_file());
            Err(in_the_way(file.unwrap_or(folder)))
        }
        Err(e) => Err(io_error("create the folder", folder, root)(e)),
    }
}

fn check_format(layout: &Layout) -> Result<()> {
    let (root, path) = (layout.root(), layout.format());
    match fs::read_to_string(&path) {
        Ok(text) if text.trim_end() == FORMAT => Ok(()),
        Ok(text) => Err(StoreError::Format {
            root: root.to_owned(),
            found: text.trim_end().chars().take(60).collect(),
            expected: FORMAT,
        }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            write_whole(&layout.cachedir_tag(), CACHEDIR_TAG.as_bytes(), root)?;
            // Last, so that a folder with a format is a folder with everything.
            write_whole(&path, format!("{FORMAT}\n").as_bytes(), root)
        }
        Err(e) => Err(io_error("read", &path, root)(e)),
    }
}

/// Writes beside the file and renames, so that nobody reads half of it.
fn write_whole(path: &Path, bytes: &[u8], root: &Path) -> Result<()> {
    let beside = path.with_extension(unique_name());
    fs::write(&beside, bytes).map_err(|e| {
        let _ = fs::remove_file(&beside);
        io_error("write", path, root)(e)
    })?;
    fs::rename(&beside, path).map_err(io_error("write", path, root))
}
