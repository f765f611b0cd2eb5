//! Gives the files of a plan their digests.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use gofarm_proto::{Digest, Message, v1};
use gofarm_store::GoFileHash;

use crate::error::PlanError;
use crate::files::SourceFiles;
use crate::plan::Plan;

/// A plan whose files have digests: what is submitted.
#[derive(Debug, Clone)]
pub struct BoundPlan {
    /// One node for each of the plan's, in the same order.
    pub graph: v1::Graph,
    /// The encoded action of each node; its digest is in the graph.
    pub definitions: Vec<Vec<u8>>,
    /// Where each source blob can be read, and what it was when it was bound.
    pub sources: HashMap<Digest, PathBuf>,
    /// The source blobs of each node.
    pub node_sources: Vec<Vec<Digest>>,
    /// Go hashes of files, by virtual path.
    pub go_hashes: HashMap<String, GoFileHash>,
}

impl Plan {
    /// Computes the definition of every action from the files as they are now.
    pub fn bind(&self, files: &mut SourceFiles<'_>) -> Result<BoundPlan, PlanError> {
        let mut bound = BoundPlan {
            graph: v1::Graph::default(),
            definitions: Vec::with_capacity(self.nodes.len()),
            sources: HashMap::new(),
            node_sources: Vec::with_capacity(self.nodes.len()),
            go_hashes: HashMap::new(),
        };
        let inputs = self.nodes.iter().flat_map(|node| &node.action.inputs);
        let files_named: BTreeSet<&str> = inputs
            .filter(|input| input.source.is_none())
            .map(|input| input.path.as_str())
            .collect();
        let paths: Vec<PathBuf> = files_named
            .into_iter()
            .filter_map(|path| self.roots.to_real(path))
            .collect();
        files.record_all(&paths);
        let mut seen: HashMap<String, Digest> = HashMap::new();
        for node in &self.nodes {
            let mut action = node.action.clone();
            let mut sources = Vec::new();
            let mut source_bytes = 0;
            for input in &mut action.inputs {
                if input.source.is_some() {
                    continue;
                }
                let digest = match seen.get(&input.path) {
                    Some(digest) => *digest,
                    None => {
                        let path = self.roots.to_real(&input.path).ok_or_else(|| {
                            PlanError::Inconsistent(format!("{} is below no root", input.path))
                        })?;
                        let record = files.record(&path)?;
                        bound.sources.insert(record.digest, path);
                        bound.go_hashes.insert(input.path.clone(), record.go_hash);
                        seen.insert(input.path.clone(), record.digest);
                        record.digest
                    }
                };
                if !input.executable {
                    source_bytes += digest.size;
                }
                sources.push(digest);
                input.source = Some(v1::input::Source::Digest(digest.into()));
            }
            let definition = action.encode_to_vec();
            bound.graph.nodes.push(v1::Node {
                action: Some(Digest::of(&definition).into()),
                label: action.label,
                kind: action.kind,
                package: action.package,
                inputs: node.edges.clone(),
                source_bytes,
                requested: action.kind == i32::from(v1::Kind::Link),
                platform: action.platform,
                c_toolchain_name: node.c_toolchain_name.clone(),
            });
            bound.definitions.push(definition);
            bound.node_sources.push(sources);
        }
        Ok(bound)
    }
}
