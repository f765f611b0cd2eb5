//! What a finished build knows for Go's identities.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::anyhow;
use gofarm_engine::core::ActionResult;
use gofarm_identity::{PACKAGE_BUILD_ID, file_hash, package_content_id, restore_cgo_flags};
use gofarm_plan::{Identities, evaluate};
use gofarm_proto::Digest;

use crate::blobs::Blobs;
use crate::outline::Outline;

/// What a finished build knows for Go's identities.
pub struct BuildIdentities<'a> {
    pub(super) outline: &'a Outline,
    results: &'a [Option<Arc<ActionResult>>],
    pub(super) blobs: &'a dyn Blobs,
    /// Hashes of profiles, by the node that made them.
    profiles: HashMap<u32, String>,
    /// Content IDs of packages that are not those of their object code as it is.
    restored: HashMap<u32, String>,
}

impl<'a> BuildIdentities<'a> {
    /// From the results of a build's nodes, in their order.
    ///
    /// # Errors
    /// A profile, or a package whose object code is to be read, cannot be.
    pub fn new(
        outline: &'a Outline,
        results: &'a [Option<Arc<ActionResult>>],
        blobs: &'a dyn Blobs,
    ) -> anyhow::Result<Self> {
        let mut identities = BuildIdentities {
            outline,
            results,
            blobs,
            profiles: HashMap::new(),
            restored: HashMap::new(),
        };
        for node in outline.profiles() {
            let made = identities.result(node);
            if let Some(digest) = made.and_then(|result| result.output("profile")) {
                let hash = file_hash(&blobs.read(&digest)?);
                identities.profiles.insert(node, hash);
            }
        }
        for node in outline.restored() {
            if let Some((export, object)) = identities.package(node)? {
                let id = package_content_id(&export, &object, PACKAGE_BUILD_ID)?;
                identities.restored.insert(node as u32, id);
            }
        }
        Ok(identities)
    }

    /// The two files of a package, as cmd/go would have them but for the build ID; nothing when it has no result.
    pub(super) fn package(&self, node: usize) -> anyhow::Result<Option<(Vec<u8>, Vec<u8>)>> {
        let Some(result) = self.result(node as u32) else {
            return Ok(None);
        };
        let read = |name: &str| self.blobs.read(&output(self.outline, node, result, name)?);
        let (export, mut object) = (read("export")?, read("object")?);
        if let Some(flags) = &self.outline.nodes[node].recorded_flags {
            object = restore_cgo_flags(&object, &flags.planned, &flags.given)?;
        }
        Ok(Some((export, object)))
    }

    pub(super) fn result(&self, node: u32) -> Option<&ActionResult> {
        self.results.get(node as usize)?.as_deref()
    }

    fn action_id(&self, node: usize) -> Option<String> {
        let node = self.outline.nodes.get(node)?;
        evaluate(node.identity.as_ref()?, self)
    }

    /// `linkActionID/mainActionID/mainContentID` of a program.
    pub(super) fn program_prefix(&self, node: usize) -> Option<String> {
        let link = self.action_id(node)?;
        let main = self.outline.nodes.get(node)?.main?;
        Some(format!("{link}/{}", self.build_id(main)?))
    }
}

impl Identities for BuildIdentities<'_> {
    fn file_hash(&self, path: &str) -> Option<String> {
        self.outline.go_hashes.get(path).cloned()
    }

    fn content_id(&self, node: u32) -> Option<String> {
        if let Some(id) = self.restored.get(&node) {
            return Some(id.clone());
        }
        let id = &self.result(node)?.content_id;
        (!id.is_empty()).then(|| id.to_string())
    }

    fn build_id(&self, node: u32) -> Option<String> {
        Some(format!(
            "{}/{}",
            self.action_id(node as usize)?,
            self.content_id(node)?
        ))
    }

    fn profile_hash(&self, node: u32) -> Option<String> {
        self.profiles.get(&node).cloned()
    }
}

/// An output of a node, by its name.
pub(super) fn output(
    outline: &Outline,
    node: usize,
    result: &ActionResult,
    name: &str,
) -> anyhow::Result<Digest> {
    result.output(name).ok_or_else(|| {
        anyhow!(
            "internal error: {} has no output {name}",
            outline.nodes[node].label
        )
    })
}
