//! Brings what an action reads into the store: its definition and its sources.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use gofarm_plan::BoundPlan;
use gofarm_proto::Digest;
use gofarm_store::{DiskStore, StoreError};

/// A file was not what it had been when the build was planned.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// Somebody saved a file while it was being built.
    #[error("{} changed while the build was running; run the command again", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Uploads blobs of one build, each at most once.
#[derive(Debug)]
pub struct Uploader {
    store: DiskStore,
    /// By definition digest: the encoded action and the digests of its sources.
    actions: HashMap<Digest, (Vec<u8>, Vec<Digest>)>,
    sources: HashMap<Digest, PathBuf>,
    present: HashSet<Digest>,
    /// Bytes that were not in the store before.
    pub uploaded: u64,
}

impl Uploader {
    /// For the blobs of this plan.
    pub fn new(store: DiskStore, bound: &mut BoundPlan) -> Uploader {
        let definitions = std::mem::take(&mut bound.definitions);
        let node_sources = std::mem::take(&mut bound.node_sources);
        let actions = definitions
            .into_iter()
            .zip(node_sources)
            .map(|(definition, sources)| (Digest::of(&definition), (definition, sources)))
            .collect();
        Uploader {
            store,
            actions,
            sources: std::mem::take(&mut bound.sources),
            present: HashSet::new(),
            uploaded: 0,
        }
    }

    /// Makes sure that the definition and the sources of an action are in the store.
    pub fn upload(&mut self, definition: &Digest) -> Result<(), UploadError> {
        let Some((bytes, sources)) = self.actions.get(definition).cloned() else {
            return Ok(());
        };
        for digest in sources {
            self.source(&digest)?;
        }
        if self.missing(definition) {
            self.store.put_bytes(&bytes)?;
            self.uploaded += definition.size;
        }
        Ok(())
    }

    /// Uploads a blob again that was found missing; false when it is none of this build's sources.
    pub fn again(&mut self, digest: &Digest) -> Result<bool, UploadError> {
        self.present.remove(digest);
        if self.actions.contains_key(digest) {
            self.upload(digest)?;
            return Ok(true);
        }
        self.source(digest)
    }

    fn source(&mut self, digest: &Digest) -> Result<bool, UploadError> {
        let Some(path) = self.sources.get(digest).cloned() else {
            return Ok(false);
        };
        if self.missing(digest) {
            let put = self.store.put_file(&path)?;
            if put != *digest {
                return Err(UploadError::Changed { path });
            }
            self.uploaded += digest.size;
        }
        Ok(true)
    }

    /// True, once, for a blob that is not in the store.
    fn missing(&mut self, digest: &Digest) -> bool {
        self.present.insert(*digest) && !self.store.contains(digest)
    }
}
