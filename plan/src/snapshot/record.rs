//! A kept plan as it lies in its file.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use prost::Message;

use super::fact::Facts;
use crate::node::PlannedNode;
use crate::plan::Plan;
use crate::request::OutputSort;
use crate::roots::Roots;

/// Snapshots kept; the least recently used go first.
const KEPT: usize = 64;

#[derive(Clone, PartialEq, Message)]
pub(super) struct Snapshot {
    /// Without targets.
    #[prost(message, repeated, tag = "1")]
    pub nodes: Vec<PlannedNode>,
    #[prost(message, repeated, tag = "2")]
    pub roots: Vec<RootMessage>,
    #[prost(string, tag = "3")]
    pub go_version: String,
    #[prost(string, tag = "4")]
    pub exe_suffix: String,
    #[prost(string, repeated, tag = "6")]
    pub notes: Vec<String>,
    /// For which sorts of -o cmd/go has accepted the request.
    #[prost(message, repeated, tag = "7")]
    pub outputs: Vec<OutputMessage>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct RootMessage {
    #[prost(string, tag = "1")]
    pub real: String,
    #[prost(string, tag = "2")]
    pub name: String,
}

/// What goes where with a sort of -o.
#[derive(Clone, PartialEq, Message)]
pub(super) struct OutputMessage {
    #[prost(enumeration = "OutputSort", tag = "1")]
    pub sort: i32,
    #[prost(message, repeated, tag = "2")]
    pub placed: Vec<PlacedMessage>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PlacedMessage {
    #[prost(uint32, tag = "1")]
    pub node: u32,
    /// The name in the folder; empty for the file that -o names.
    #[prost(string, tag = "2")]
    pub name: String,
}

impl Snapshot {
    /// What a plan says, for a request with this sort of -o.
    pub fn of(plan: &Plan, sort: OutputSort) -> Snapshot {
        let mut placed = Vec::new();
        let mut nodes = plan.nodes.clone();
        for (index, node) in nodes.iter_mut().enumerate() {
            let Some(target) = node.target.take() else {
                continue;
            };
            let name = match sort {
                OutputSort::Folder => target.rsplit('/').next().unwrap_or_default().to_owned(),
                OutputSort::Nowhere | OutputSort::File => String::new(),
            };
            placed.push(PlacedMessage {
                node: index as u32,
                name,
            });
        }
        let roots = plan.roots.entries().iter().map(|(real, name)| RootMessage {
            real: real.clone(),
            name: name.clone(),
        });
        Snapshot {
            nodes,
            roots: roots.collect(),
            go_version: plan.go_version.clone(),
            exe_suffix: plan.exe_suffix.clone(),
            // Told when it happens, not again when it has happened.
            notes: plan
                .notes
                .iter()
                .filter(|note| !note.starts_with("go: downloading "))
                .cloned()
                .collect(),
            outputs: vec![OutputMessage {
                sort: sort.into(),
                placed,
            }],
        }
    }

    /// Whether cmd/go has accepted the request with this sort of -o.
    pub fn accepts(&self, sort: OutputSort) -> bool {
        sort == OutputSort::Nowhere || self.outputs.iter().any(|output| output.sort() == sort)
    }

    /// Takes over what an earlier snapshot of the same plan knows of other sorts of -o.
    pub fn accept_as(&mut self, earlier: &Snapshot) {
        if earlier.nodes != self.nodes {
            return;
        }
        for output in &earlier.outputs {
            if !self.outputs.iter().any(|own| own.sort == output.sort) {
                self.outputs.push(output.clone());
            }
        }
    }

    /// The plan of a request with this -o.
    pub fn into_plan(mut self, sort: OutputSort, output: Option<&str>) -> Plan {
        let places = self.outputs.into_iter().find(|place| place.sort() == sort);
        for placed in places.into_iter().flat_map(|output| output.placed) {
            if let (Some(node), Some(output)) = (self.nodes.get_mut(placed.node as usize), output) {
                node.target = Some(match sort {
                    OutputSort::Folder => {
                        format!("{}/{}", output.trim_end_matches('/'), placed.name)
                    }
                    OutputSort::Nowhere | OutputSort::File => output.to_owned(),
                });
            }
        }
        let roots = self.roots.into_iter().map(|root| (root.real, root.name));
        Plan {
            nodes: self.nodes,
            roots: Roots::from_entries(roots.collect()),
            go_version: self.go_version,
            exe_suffix: self.exe_suffix,
            notes: self.notes,
        }
    }
}

/// A kept plan with its facts, as both lie in their file: a checksum, the length of the facts, the facts, the plan. The facts
/// are looked at before the plan is needed, and in large builds each takes milliseconds to decode.
pub(super) struct Kept {
    bytes: Vec<u8>,
    facts_end: usize,
}

const CHECKSUM: usize = 32;
const FACTS: usize = CHECKSUM + 8;

impl Kept {
    pub fn read(file: &Path) -> Option<Kept> {
        // A pipe would be waited for.
        let is_file = fs::metadata(file).is_ok_and(|metadata| metadata.is_file());
        is_file
            .then(|| fs::read(file).ok())
            .flatten()
            .and_then(Kept::of)
    }

    pub fn of(bytes: Vec<u8>) -> Option<Kept> {
        let (check, body) = bytes.split_first_chunk::<CHECKSUM>()?;
        if blake3::hash(body).as_bytes() != check {
            return None;
        }
        let (length, rest) = body.split_first_chunk::<8>()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        (length <= rest.len()).then_some(Kept {
            facts_end: FACTS + length,
            bytes,
        })
    }

    pub fn facts(&self) -> Option<Facts> {
        Facts::decode(&self.bytes[FACTS..self.facts_end]).ok()
    }

    pub fn snapshot(&self) -> Option<Snapshot> {
        Snapshot::decode(&self.bytes[self.facts_end..]).ok()
    }
}

/// Keeps a plan. A failure costs a dry run next time and nothing else; the store says so when its folder
/// cannot be written.
pub(super) fn write(file: &Path, facts: &Facts, snapshot: &Snapshot) {
    let mut body = Vec::with_capacity(8 + facts.encoded_len() + snapshot.encoded_len());
    body.extend((facts.encoded_len() as u64).to_le_bytes());
    body.extend(facts.encode_to_vec());
    body.extend(snapshot.encode_to_vec());
    let mut bytes = blake3::hash(&body).as_bytes().to_vec();
    bytes.extend_from_slice(&body);
    let Some(folder) = file.parent() else { return };
    let temporary = file.with_extension(format!("tmp{}", std::process::id()));
    let written = fs::create_dir_all(folder)
        .and_then(|()| fs::write(&temporary, bytes))
        .and_then(|()| fs::rename(&temporary, file));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    prune(folder);
}

fn prune(folder: &Path) {
    let mut kept: Vec<(SystemTime, PathBuf)> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    kept.sort();
    for (_, path) in kept.iter().rev().skip(KEPT) {
        let _ = fs::remove_file(path);
    }
}
