//! Links to large blobs in a workspace, taken away by whoever put them there.
//!
//! Making or removing a link changes the time by which the store sees that a blob was written to. The store makes the links
//! itself; removing them with everything else in a workspace would look like a write by somebody else, and a compiler that is
//! staged for every action would be hashed for every action.

use std::ffi::{OsStr, OsString};

use gofarm_proto::Digest;
use gofarm_store::DiskStore;
use gofarm_tree::Folder;

/// Smaller blobs are hashed again in less time than this takes.
const LARGE: u64 = 64 << 10;

/// Each has an open folder. An action with more large inputs has them hashed again.
const MOST: usize = 64;

/// The links of one action.
#[derive(Debug, Default)]
pub(crate) struct StagedLinks(Vec<StagedLink>);

#[derive(Debug)]
struct StagedLink {
    digest: Digest,
    /// Opened before anything of the action ran, so that it is the folder in which we have made the link, whatever the action
    /// puts in the place of folders above it.
    folder: Folder,
    name: OsString,
}

impl StagedLinks {
    /// A link to the blob has just been made, in a folder that only we have written to.
    pub fn note(&mut self, digest: &Digest, folder: &Folder, name: &OsStr) {
        if digest.size < LARGE || self.0.len() >= MOST {
            return;
        }
        // Where that fails, the link goes with everything else.
        if let Ok(folder) = folder.try_clone() {
            self.0.push(StagedLink {
                digest: *digest,
                folder,
                name: name.to_owned(),
            });
        }
    }

    /// Removes the links, as far as they are still what they were. What stays is removed with the workspace.
    pub fn remove(self, store: &DiskStore) {
        for link in self.0 {
            let Ok(entry) = link.folder.child(&link.name) else {
                continue;
            };
            let staged = entry.status().ok().flatten();
            if staged.is_some_and(|staged| store.is_blob(&link.digest, staged.id)) {
                store.own_change(&link.digest, || {
                    // Then it is hashed again.
                    let _ = entry.unlink();
                });
            }
        }
    }
}
