//! The tree of one action: everything that the worker itself does below an exec root.
//!
//! The action has written it, so nothing in it is believed. No link is followed (see [`gofarm_tree`]), and a file is the
//! action's own only if the action can have made it:
//!
//! - An ordinary file with one name is.
//! - A file with several names is, when all of them are in the tree.
//! - An input under another name may be read: the action was given its bytes. It is not written to.
//! - Any other file that has a name elsewhere is refused. Without a sandbox it may be any file that the worker's user can link
//!   to. The action could have read it, so nothing is revealed by refusing, but to take it for an output would be to seal,
//!   move and serve a file of the machine, and to write to it would be to change that file.
//! - Folders, links, pipes, sockets and devices are no files. They are named and not opened.

use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use gofarm_proto::{Digest, WORK_DIR};
use gofarm_store::DiskStore;
use gofarm_tree::{Entry, Folder, Problem, Status, TreeError, TreeFile, TreePath};

use super::staged_links::StagedLinks;
use super::trouble::{Result, Trouble, Uncollected, checked};
use crate::action::VirtualPath;

/// Permissions of a folder that the worker makes.
pub(crate) const FOLDER_MODE: u32 = 0o755;

/// A file that is read as a whole has this many bytes at most. The largest packages have a tenth of it, and a file that takes
/// no space on the disk can be larger than any memory.
const LARGEST: u64 = 2 << 30;

/// The tree of one action.
#[derive(Debug)]
pub(crate) struct ActionTree {
    root: Arc<Folder>,
    store: DiskStore,
    /// What the action was given, by any path.
    inputs: Vec<Digest>,
}

/// A file of the tree that may be read.
#[derive(Debug)]
pub(crate) struct OwnFile<'a> {
    pub entry: Entry<'a>,
    pub opened: TreeFile,
}

impl ActionTree {
    pub fn new(root: Arc<Folder>, store: DiskStore, inputs: Vec<Digest>) -> ActionTree {
        ActionTree {
            root,
            store,
            inputs,
        }
    }

    /// Whether there is anything at the path, be it a broken link.
    pub fn exists(&self, path: &str) -> Result<bool> {
        let path = checked(path)?;
        let found = self
            .root
            .entry(path.below())
            .and_then(|entry| entry.status());
        match found {
            Ok(status) => Ok(status.is_some()),
            Err(TreeError {
                problem: Problem::NotAFolder(_),
                ..
            }) => Ok(false),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(Trouble::of("looking for", path, error)),
        }
    }

    /// Makes a folder and those above it. The exec root itself is there.
    pub fn make_folder(&self, path: &str) -> Result<()> {
        let path = VirtualPath::folder(path).map_err(Trouble::Refused)?;
        let Some(path) = path else { return Ok(()) };
        let made = self.root.make_folders(path.below(), FOLDER_MODE);
        made.map(drop)
            .map_err(|error| Trouble::of("making the folder", path, error))
    }

    /// Writes a new file, in the place of whatever file was there: above all not into a blob that was linked there. Its folder
    /// is made.
    pub fn write(&self, path: &str, content: &[u8]) -> Result<()> {
        let path = checked(path)?;
        let mut file = self.fresh(path, 0o666)?;
        file.write_all(content)
            .map_err(Trouble::io("writing", path))
    }

    /// A new file to write to, as [`write`](ActionTree::write) has it.
    fn fresh(&self, path: VirtualPath<'_>, mode: u32) -> Result<File> {
        self.root
            .fresh_entry(path.below(), FOLDER_MODE)
            .and_then(|entry| entry.create_fresh(mode))
            .map_err(|error| Trouble::of("writing", path, error))
    }

    /// Copies a file to a new one, which may be written and run.
    pub fn copy(&self, from: &str, to: &str) -> Result<()> {
        let (from, to) = (checked(from)?, checked(to)?);
        let mut source = self.open(from, "copying")?.opened.file;
        let mut copy = self.fresh(to, 0o755)?;
        io::copy(&mut source, &mut copy).map_err(Trouble::io("copying", from))?;
        // The copy of a blob would be read-only, and tools write over what they find.
        copy.set_permissions(Permissions::from_mode(0o755))
            .map_err(Trouble::io("making writable", to))
    }

    /// Opens a file for reading: one of the action's own, or an input.
    pub fn open<'a>(&'a self, path: VirtualPath<'a>, what: &str) -> Result<OwnFile<'a>> {
        let of = |error| Trouble::of(what, path, error);
        let entry = self.root.entry(path.below()).map_err(of)?;
        let opened = entry.open().map_err(of)?;
        if !self.is_own(&opened.status, path)? && !self.is_input(&opened.status) {
            return Err(has_other_names(what, path));
        }
        Ok(OwnFile { entry, opened })
    }

    /// Likewise, where a missing file is no trouble.
    pub fn find<'a>(&'a self, path: VirtualPath<'a>, what: &str) -> Result<Option<OwnFile<'a>>> {
        match self.open(path, what) {
            Err(Trouble::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        }
    }

    /// All of a file.
    pub fn read(&self, path: &str) -> Result<Vec<u8>> {
        let path = checked(path)?;
        let opened = self.open(path, "reading")?.opened;
        whole(opened, path)
    }

    /// Puts other content in the place of a file's, by a new file with the same permissions. An input is not changed, whatever
    /// it is called by now.
    pub fn change(
        &self,
        path: &str,
        change: impl FnOnce(Vec<u8>) -> Result<Vec<u8>>,
    ) -> Result<()> {
        let path = checked(path)?;
        let of = |error| Trouble::of("changing", path, error);
        let entry = self.root.entry(path.below()).map_err(of)?;
        let opened = entry.open().map_err(of)?;
        if !self.is_own(&opened.status, path)? {
            return Err(has_other_names("changing", path));
        }
        let mode = opened.status.mode & 0o777;
        let content = change(whole(opened, path)?)?;
        let mut file = entry.create_fresh(mode).map_err(of)?;
        file.set_permissions(Permissions::from_mode(mode))
            .and_then(|()| file.write_all(&content))
            .map_err(Trouble::io("writing", path))
    }

    /// Opens a file of the action's own for writing at its end.
    pub fn append(&self, path: VirtualPath<'_>) -> Result<File> {
        let of = |error| Trouble::of("opening", path, error);
        let entry = self.root.entry(path.below()).map_err(of)?;
        let opened = entry.append().map_err(of)?;
        match self.is_own(&opened.status, path)? {
            true => Ok(opened.file),
            false => Err(has_other_names("opening", path)),
        }
    }

    /// Hashes a file and moves it into the store; `None` where there is none.
    pub fn collect(&self, path: &str, what: &str) -> Result<Option<Digest>, Uncollected> {
        let path = checked(path)?;
        let Some(OwnFile { entry, opened }) = self.find(path, what)? else {
            return Ok(None);
        };
        Ok(Some(self.store.adopt(&entry, opened, path.called())?))
    }

    /// Copies what is in the scratch folder into another folder: see [`Folder::copy_into`].
    pub fn copy_scratch(&self, to: &Folder) -> Result<()> {
        let path = checked(WORK_DIR)?;
        let of = |error| Trouble::of("copying", path, error);
        match self.root.folder(path.below()) {
            Ok(scratch) => scratch.copy_into(to, FOLDER_MODE).map_err(of),
            // The action has not come so far.
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(of(error)),
        }
    }

    /// Takes a name from whatever file has it.
    pub fn remove(&self, path: &str) -> Result<()> {
        let path = checked(path)?;
        self.root
            .entry(path.below())
            .and_then(|entry| entry.unlink())
            .map_err(|error| Trouble::of("removing", path, error))
    }

    /// Links blobs to their paths, whose folders are there. Nothing of the action has run yet.
    pub fn link<'a>(
        &self,
        blobs: impl Iterator<Item = (&'a str, &'a Digest)>,
    ) -> Result<StagedLinks, Uncollected> {
        let mut links = StagedLinks::default();
        // Sorted by path, so that those of one folder follow each other.
        let mut held: Option<(TreePath<'_>, Folder)> = None;
        for (path, digest) in blobs {
            let path = checked(path)?;
            let of = |error| Trouble::of("staging", path, error);
            let folder = match path.below().parent() {
                None => &*self.root,
                Some(parent) => {
                    let folder = match held.take() {
                        Some((at, folder)) if at == parent => folder,
                        _ => self.root.folder(parent).map_err(of)?,
                    };
                    &held.insert((parent, folder)).1
                }
            };
            let name = OsStr::new(path.below().name());
            let entry = folder.child(name).map_err(of)?;
            self.store.link_into(digest, &entry, path.called())?;
            links.note(digest, folder, name);
        }
        Ok(links)
    }

    /// Whether all names of the file are in the tree.
    fn is_own(&self, status: &Status, path: VirtualPath<'_>) -> Result<bool> {
        if status.names == 1 {
            return Ok(true);
        }
        let found = self.root.names_of(status.id);
        let found = found.map_err(|error| Trouble::of("looking for the names of", path, error))?;
        Ok(found == status.names)
    }

    fn is_input(&self, status: &Status) -> bool {
        let is =
            |digest: &&Digest| digest.size == status.size && self.store.is_blob(digest, status.id);
        self.inputs.iter().find(is).is_some()
    }
}

fn has_other_names(what: &str, path: VirtualPath<'_>) -> Trouble {
    Trouble::Refused(format!(
        "{what} {path}: it has another name outside of the action's own files, so that it may be any file of the machine; \
         copy it instead of linking it"
    ))
}

fn whole(opened: TreeFile, path: VirtualPath<'_>) -> Result<Vec<u8>> {
    let TreeFile { mut file, status } = opened;
    if status.size > LARGEST {
        return Err(Trouble::Refused(format!(
            "reading {path}: it is too large, {} MiB; {} MiB are read at most",
            status.size >> 20,
            LARGEST >> 20
        )));
    }
    let mut content = Vec::with_capacity(usize::try_from(status.size).unwrap_or(0));
    Read::by_ref(&mut file)
        .take(LARGEST)
        .read_to_end(&mut content)
        .map_err(Trouble::io("reading", path))?;
    Ok(content)
}
