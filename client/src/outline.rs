//! What a client has to know of a build beside its graph, see `proto/gofarm/v1/outline.proto`.
//!
//! A build that is submitted to a farm takes its outline along, so that whoever attaches to it from elsewhere prints the
//! same text and writes the same programs.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use gofarm_plan::{BoundPlan, Plan, Roots};
use gofarm_proto::v1::identity_part::Kind as PartKind;
use gofarm_proto::v1::{OutlineNode, OutlineRoot};
use gofarm_proto::{Message, v1};

/// The latest format that this version reads, and the one that it writes.
const FORMAT: u32 = 0;

/// An outline that fits its graph: there is a node for each of the graph's, and what nodes refer to comes before them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outline(v1::Outline);

impl Deref for Outline {
    type Target = v1::Outline;

    fn deref(&self) -> &v1::Outline {
        &self.0
    }
}

#[cfg(test)]
impl From<v1::Outline> for Outline {
    fn from(outline: v1::Outline) -> Outline {
        Outline(outline)
    }
}

/// What somebody left with a build is no outline that can be used.
#[derive(Debug, thiserror::Error)]
pub enum OutlineError {
    /// Written by a version that knows more.
    #[error(
        "its outline has format {format}, and this gofarm reads {FORMAT} at most: it was submitted by a newer gofarm; use that one"
    )]
    Newer {
        /// What it says of itself.
        format: u32,
    },
    /// Not the encoding of an outline.
    #[error("what was left with it is no outline: {0}; it was not submitted by gofarm submit")]
    Encoding(#[from] gofarm_proto::DecodeError),
    /// Of another graph, or of none.
    #[error("its outline does not fit its graph: {0}; it was not submitted by gofarm submit")]
    Misfit(String),
}

/// What the user asked for, as far as it is part of an outline.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// See [`v1::Outline::packages`].
    pub packages: &'a [String],
    /// See [`v1::Outline::folder`].
    pub folder: &'a Path,
    /// See [`v1::Outline::output`].
    pub output: Option<&'a str>,
    /// See [`v1::Outline::print_commands`].
    pub print_commands: bool,
}

impl Outline {
    /// Reads what somebody left with a build whose graph has so many nodes.
    ///
    /// # Errors
    /// It is none that this version can use.
    pub fn read(bytes: &[u8], nodes: usize) -> Result<Outline, OutlineError> {
        let outline = v1::Outline::decode(bytes)?;
        // First: what does not fit may be what this version does not know.
        if outline.format > FORMAT {
            return Err(OutlineError::Newer {
                format: outline.format,
            });
        }
        if outline.nodes.len() != nodes {
            return Err(OutlineError::Misfit(format!(
                "it has {} nodes of {nodes}",
                outline.nodes.len()
            )));
        }
        for (index, node) in outline.nodes.iter().enumerate() {
            // Identities are computed from those before: one that led back to itself would have no end.
            if let Some(later) = named(node).find(|named| *named as usize >= index) {
                return Err(OutlineError::Misfit(format!(
                    "node {index} refers to node {later}, which is not before it"
                )));
            }
        }
        Ok(Outline(outline))
    }

    /// What can be said of a build without an outline: its paths stay virtual.
    pub fn of_graph(graph: &v1::Graph) -> Outline {
        let labelled = |node: &v1::Node| OutlineNode {
            label: node.label.clone(),
            kind: node.kind,
            package: node.package.clone(),
            import_path: node.package.clone(),
            ..OutlineNode::default()
        };
        Outline(v1::Outline {
            nodes: graph.nodes.iter().map(labelled).collect(),
            ..v1::Outline::default()
        })
    }

    /// The outline of a plan.
    pub fn new(plan: &Plan, bound: &BoundPlan, asked: Asked<'_>) -> Outline {
        let identified = identified(plan);
        let nodes = plan.nodes.iter().enumerate().map(|(index, node)| {
            let identity = identified.contains(&index);
            OutlineNode {
                label: node.action.label.clone(),
                kind: node.action.kind,
                package: node.action.package.clone(),
                import_path: node.import_path.clone(),
                folder: node.folder.clone(),
                host_tools: node.action.host_tools,
                identity: node.identity.clone().filter(|_| identity),
                main: node.main,
                target: node.target.clone(),
                recorded_flags: node.recorded_flags.clone(),
                c_library: node.c_library,
            }
        });
        let nodes: Vec<OutlineNode> = nodes.collect();
        let hashed = nodes
            .iter()
            .filter_map(|node| node.identity.as_ref())
            .flat_map(|identity| &identity.parts);
        let go_hashes = hashed.filter_map(|part| match &part.kind {
            Some(PartKind::FileHash(path)) => {
                Some((path.clone(), bound.go_hashes.get(path)?.to_string()))
            }
            _ => None,
        });
        Outline(v1::Outline {
            go_hashes: go_hashes.collect(),
            nodes,
            roots: roots(&plan.roots),
            go_version: plan.go_version.clone(),
            exe_suffix: plan.exe_suffix.clone(),
            notes: plan.notes.clone(),
            packages: asked.packages.to_vec(),
            folder: asked.folder.to_string_lossy().into_owned(),
            output: asked.output.map(str::to_owned),
            print_commands: asked.print_commands,
            format: FORMAT,
        })
    }

    /// Indices of the nodes that link programs.
    pub fn programs(&self) -> impl Iterator<Item = usize> {
        self.nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| node.kind() == v1::Kind::Link)
            .map(|(index, _)| index)
    }

    /// The nodes that make profiles which identities name, each once.
    pub fn profiles(&self) -> BTreeSet<u32> {
        let identities = self.nodes.iter().filter_map(|node| node.identity.as_ref());
        let parts = identities.flat_map(|identity| &identity.parts);
        parts
            .filter_map(|part| match part.kind {
                Some(PartKind::ProfileHash(node)) => Some(node),
                _ => None,
            })
            .collect()
    }

    /// The packages whose content ID is not that of their object code as it is.
    pub fn restored(&self) -> impl Iterator<Item = usize> {
        let nodes = self.nodes.iter().enumerate();
        nodes.filter_map(|(index, node)| node.recorded_flags.as_ref().map(|_| index))
    }

    /// The nodes whose outputs are read when these nodes' programs or archives are written.
    pub fn read_for(&self, targets: impl IntoIterator<Item = usize>) -> BTreeSet<usize> {
        let profiles = self.profiles().into_iter().map(|node| node as usize);
        let targets: Vec<usize> = targets.into_iter().collect();
        let headers: Vec<usize> = targets
            .iter()
            .filter_map(|node| self.nodes.get(*node).filter(|node| node.c_library)?.main)
            .map(|node| node as usize)
            .collect();
        targets
            .into_iter()
            .chain(headers)
            .chain(profiles)
            .chain(self.restored())
            .collect()
    }

    /// The path on the user's machine of a virtual path; `None` for scratch and produced inputs.
    pub fn to_real(&self, path: &str) -> Option<PathBuf> {
        self.roots.iter().find_map(|root| {
            let rest = path.strip_prefix(root.name.as_str())?;
            (rest.is_empty() || rest.starts_with('/'))
                .then(|| PathBuf::from(format!("{}{rest}", root.real)))
        })
    }
}

/// The nodes that a node names.
fn named(node: &OutlineNode) -> impl Iterator<Item = u32> {
    let parts = node.identity.iter().flat_map(|identity| &identity.parts);
    let parts = parts.filter_map(|part| match part.kind {
        Some(PartKind::ContentId(node) | PartKind::BuildId(node) | PartKind::ProfileHash(node)) => {
            Some(node)
        }
        _ => None,
    });
    parts.chain(node.main)
}

/// The nodes whose identities have to be known for stamping any program or archive of the plan.
fn identified(plan: &Plan) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut open: Vec<usize> = plan.programs().collect();
    let archives = plan.nodes.iter().enumerate();
    open.extend(archives.filter_map(|(index, node)| node.target.as_ref().map(|_| index)));
    while let Some(index) = open.pop() {
        let Some(node) = plan.nodes.get(index).filter(|_| found.insert(index)) else {
            continue;
        };
        open.extend(node.main.map(|main| main as usize));
        let parts = node.identity.iter().flat_map(|identity| &identity.parts);
        open.extend(parts.filter_map(|part| match part.kind {
            Some(PartKind::BuildId(node)) => Some(node as usize),
            _ => None,
        }));
    }
    found
}

/// One inside another comes first: the first that fits is the one.
fn roots(roots: &Roots) -> Vec<OutlineRoot> {
    let named = roots.named().into_iter();
    named
        .map(|(name, real)| OutlineRoot {
            name: name.to_owned(),
            real: real.to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use gofarm_proto::v1::{IdentityPart, IdentityTemplate};

    use super::*;

    fn names(kind: PartKind) -> OutlineNode {
        let part = IdentityPart { kind: Some(kind) };
        OutlineNode {
            identity: Some(IdentityTemplate { parts: vec![part] }),
            ..OutlineNode::default()
        }
    }

    fn encoded(nodes: Vec<OutlineNode>, format: u32) -> Vec<u8> {
        let outline = v1::Outline {
            nodes,
            format,
            ..v1::Outline::default()
        };
        outline.encode_to_vec()
    }

    #[test]
    fn what_is_newer_is_refused_and_says_so() {
        let newer = Outline::read(&encoded(Vec::new(), FORMAT + 1), 3).unwrap_err();
        let text = newer.to_string();
        assert!(
            text.contains("format 1") && text.contains("newer gofarm"),
            "{text}"
        );
    }

    #[test]
    fn fields_that_are_not_known_are_passed_over() {
        let mut bytes = encoded(vec![OutlineNode::default()], FORMAT);
        // Field 1000, three bytes.
        bytes.extend([0xc2, 0x3e, 3, 1, 2, 3]);
        assert_eq!(Outline::read(&bytes, 1).unwrap().nodes.len(), 1);
    }

    #[test]
    fn what_does_not_fit_the_graph_is_refused() {
        let plain = OutlineNode::default;
        let two = encoded(vec![plain(), names(PartKind::BuildId(0))], FORMAT);
        assert!(Outline::read(&two, 2).is_ok());
        for (nodes, words) in [
            (vec![plain()], "it has 1 nodes of 2"),
            (
                vec![names(PartKind::BuildId(0)), plain()],
                "node 0 refers to node 0",
            ),
            (
                vec![names(PartKind::ContentId(1)), plain()],
                "node 0 refers to node 1",
            ),
            (
                vec![plain(), names(PartKind::ProfileHash(7))],
                "node 1 refers to node 7",
            ),
            (
                vec![
                    plain(),
                    OutlineNode {
                        main: Some(1),
                        ..plain()
                    },
                ],
                "node 1 refers to node 1",
            ),
        ] {
            let refused = Outline::read(&encoded(nodes, FORMAT), 2).unwrap_err();
            assert!(refused.to_string().contains(words), "{refused}");
        }
        let refused = Outline::read(b"\x0a\xff", 1).unwrap_err().to_string();
        assert!(refused.contains("is no outline"), "{refused}");
    }
}
