//! The blobs that a client has for a build: definitions of actions, and sources.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use gofarm_plan::BoundPlan;
use gofarm_proto::Digest;
use gofarm_rpc::Source;

/// What a client can give to a store.
#[derive(Debug)]
pub struct Supply {
    /// Definition digests in the order of the plan.
    order: Vec<Digest>,
    /// By definition digest: the encoded action and the digests of its sources.
    actions: HashMap<Digest, (Vec<u8>, Vec<Digest>)>,
    sources: HashMap<Digest, PathBuf>,
}

impl Supply {
    /// Takes the blobs of a plan out of it.
    pub fn new(bound: &mut BoundPlan) -> Supply {
        let definitions = std::mem::take(&mut bound.definitions);
        let node_sources = std::mem::take(&mut bound.node_sources);
        let order: Vec<Digest> = definitions
            .iter()
            .map(|definition| Digest::of(definition))
            .collect();
        let actions = order
            .iter()
            .copied()
            .zip(definitions.into_iter().zip(node_sources))
            .collect();
        Supply {
            order,
            actions,
            sources: std::mem::take(&mut bound.sources),
        }
    }

    /// The definitions of all actions, in the order of the plan.
    pub fn definitions(&self) -> &[Digest] {
        &self.order
    }

    /// An encoded action, and the digests of its sources.
    pub fn action(&self, definition: &Digest) -> Option<(&[u8], &[Digest])> {
        let (bytes, sources) = self.actions.get(definition)?;
        Some((bytes, sources))
    }

    /// The file that had this content when the build was planned.
    pub fn file(&self, source: &Digest) -> Option<&Path> {
        self.sources.get(source).map(PathBuf::as_path)
    }

    /// Where the bytes of a blob are; `None` when it is none of these.
    pub fn source(&self, digest: &Digest) -> Option<Source> {
        if let Some((definition, _)) = self.action(digest) {
            return Some(Source::Bytes(definition.to_vec().into()));
        }
        Some(Source::File(self.file(digest)?.to_owned()))
    }

    /// All blobs, each once: those of an action together, in the order of the plan.
    pub fn digests(&self) -> Vec<Digest> {
        let mut seen = HashSet::new();
        let mut digests = Vec::with_capacity(self.actions.len() + self.sources.len());
        for definition in &self.order {
            let sources = self
                .action(definition)
                .map_or(&[][..], |(_, sources)| sources);
            let blobs = sources.iter().chain([definition]);
            digests.extend(blobs.filter(|digest| seen.insert(**digest)));
        }
        digests
    }
}
