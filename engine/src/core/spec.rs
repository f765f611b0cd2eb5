//! A build as it is submitted, checked.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use gofarm_proto::{Digest, ParseDigestError, v1};

use super::graph::Graph;
use super::{BuildId, Estimate, NodeId, Prior};

/// What a build may and may not do.
#[derive(Clone, Debug)]
pub struct BuildOptions {
    /// Nodes that do not depend on a failed one go on. Otherwise the first failure ends the build.
    pub keep_going: bool,
    /// Execute everything, even what the action cache has; results are recorded all the same. An execution
    /// that began after the submission serves as well.
    pub no_cache: bool,
    /// Whose build it is.
    pub user: Arc<str>,
    /// The workers that can run its actions.
    pub pool: Arc<str>,
    /// The pool has workers of several platforms: each action waits in the part of the pool that can run it, see
    /// [`platform_pool`].
    pub by_platform: bool,
}

impl Default for BuildOptions {
    fn default() -> Self {
        BuildOptions {
            keep_going: true,
            no_cache: false,
            user: "".into(),
            pool: "default".into(),
            by_platform: false,
        }
    }
}

/// The part of a pool that can run actions of a platform: `default:linux/amd64`, or with the identity of a C toolchain
/// `default:linux/amd64/ID`. A worker takes tasks of `platform_pool` for each platform that it has.
pub fn platform_pool(pool: &str, platform: &v1::Platform) -> String {
    let v1::Platform {
        os,
        arch,
        c_toolchain,
    } = platform;
    match c_toolchain.as_str() {
        "" => format!("{pool}:{os}/{arch}"),
        toolchain => format!("{pool}:{os}/{arch}/{toolchain}"),
    }
}

/// The pool that a part (`default:linux/amd64`) belongs to.
pub fn pool_of(part: &str) -> &str {
    part.split_once(':').map_or(part, |(pool, _)| pool)
}

/// One action of a build.
#[derive(Clone, Debug)]
pub struct NodeSpec {
    /// The blob that holds the action.
    pub definition: Digest,
    /// What a person calls it. Not empty.
    pub label: Arc<str>,
    /// The import path.
    pub package: Arc<str>,
    /// What it does.
    pub kind: v1::Kind,
    /// One for each produced input of the action, in the order in which the action declares them.
    pub inputs: Vec<Edge>,
    /// The client wants the outputs: their blobs are in the store when the build has succeeded.
    pub requested: bool,
    /// Bytes of source, for guessing the duration when nothing is recorded.
    pub source_bytes: u64,
    /// What is recorded about earlier executions.
    pub estimate: Option<Estimate>,
    /// Where it can run; None for anywhere in the build's pool.
    pub platform: Option<v1::Platform>,
}

/// An output of an earlier node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The node that makes it.
    pub node: NodeId,
    /// Its name. Not empty.
    pub output: Arc<str>,
}

/// What the core keeps of a [`NodeSpec`] beside its edges.
#[derive(Clone, Debug)]
pub(super) struct NodeInfo {
    pub definition: Digest,
    pub label: Arc<str>,
    pub package: Arc<str>,
    pub kind: v1::Kind,
    pub requested: bool,
    pub pool: Arc<str>,
    pub duration_ms: u64,
    pub duration_estimate: Option<u64>,
    pub memory_estimate: Option<u64>,
}

/// A submitted build. There is no way to make one that is not sound: edges point to earlier nodes, so the graph
/// has no cycle and the order of the nodes is topological.
#[derive(Clone, Debug)]
pub struct BuildSpec {
    pub(super) id: BuildId,
    pub(super) options: BuildOptions,
    pub(super) nodes: Vec<NodeInfo>,
    pub(super) graph: Graph,
    /// Names of outputs; edges refer to them by index.
    pub(super) names: Vec<Arc<str>>,
    /// An earlier owner has told its watchers that the build is accepted.
    pub(super) resumed: bool,
    /// What it has told of nodes, each at most once.
    pub(super) priors: Vec<(NodeId, Prior)>,
}

/// A graph that cannot be built. Refused whole: it comes from a client that is broken or of another version.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum GraphError {
    /// An edge to itself or to a later node.
    #[error("graph: node {node} ({label}) reads from node {from}, which does not stand before it")]
    NotTopological {
        /// Index of the reader.
        node: u32,
        /// Its label.
        label: Arc<str>,
        /// Index of the node read from.
        from: u32,
    },
    /// Two edges of a node name the same output.
    #[error("graph: node {node} ({label}) names output {output:?} of node {from} twice")]
    OutputTwice {
        /// Index of the reader.
        node: u32,
        /// Its label.
        label: Arc<str>,
        /// Index of the node read from.
        from: u32,
        /// The output.
        output: Arc<str>,
    },
    /// An edge without the name of an output.
    #[error("graph: node {node} ({label}) reads from node {from} without naming an output")]
    NoOutputName {
        /// Index of the reader.
        node: u32,
        /// Its label.
        label: Arc<str>,
        /// Index of the node read from.
        from: u32,
    },
    /// A node that messages could not name.
    #[error("graph: node {node} has no label")]
    NoLabel {
        /// Its index.
        node: u32,
    },
    /// A kind that this version does not know.
    #[error("graph: node {node} ({label}) is of unknown kind {kind}")]
    UnknownKind {
        /// Its index.
        node: u32,
        /// Its label.
        label: Arc<str>,
        /// The number.
        kind: i32,
    },
    /// No definition digest, or not a digest.
    #[error("graph: node {node} ({label}) has no valid definition digest")]
    Definition {
        /// Its index.
        node: u32,
        /// Its label.
        label: Arc<str>,
        /// What is wrong with the digest, if there is one.
        #[source]
        source: Option<ParseDigestError>,
    },
    /// More than 2^32 - 1 nodes or edges.
    #[error("graph: more than {} nodes or edges", u32::MAX)]
    TooLarge,
}

impl BuildSpec {
    /// Checks the nodes and puts them together.
    ///
    /// # Errors
    ///
    /// The first thing found wrong, in the order of the nodes.
    pub fn new(
        id: BuildId,
        options: BuildOptions,
        nodes: impl IntoIterator<Item = NodeSpec>,
    ) -> Result<BuildSpec, GraphError> {
        let mut assembly = Assembly::new(id, options);
        for node in nodes {
            for edge in &node.inputs {
                assembly.edge(&node.label, edge.node.0, &edge.output)?;
            }
            assembly.node(node)?;
        }
        Ok(assembly.finish())
    }

    /// The same from a `v1::Graph`, with what is recorded about each node's earlier executions.
    ///
    /// # Errors
    ///
    /// The first thing found wrong, in the order of the nodes.
    pub fn from_graph(
        id: BuildId,
        options: BuildOptions,
        graph: &v1::Graph,
        mut estimate: impl FnMut(&v1::Node) -> Option<Estimate>,
    ) -> Result<BuildSpec, GraphError> {
        let mut assembly = Assembly::new(id, options);
        for node in &graph.nodes {
            let index = assembly.next_index()?;
            let label: Arc<str> = node.label.as_str().into();
            let definition = match node.action.as_ref().map(Digest::try_from) {
                Some(Ok(digest)) => digest,
                other => {
                    return Err(GraphError::Definition {
                        node: index,
                        label,
                        source: other.and_then(Result::err),
                    });
                }
            };
            let kind = v1::Kind::try_from(node.kind).map_err(|_| GraphError::UnknownKind {
                node: index,
                label: label.clone(),
                kind: node.kind,
            })?;
            for edge in &node.inputs {
                assembly.edge(&label, edge.node, &edge.output)?;
            }
            assembly.node(NodeSpec {
                definition,
                label,
                package: node.package.as_str().into(),
                kind,
                inputs: Vec::new(),
                requested: node.requested,
                source_bytes: node.source_bytes,
                estimate: estimate(node),
                platform: node.platform.clone(),
            })?;
        }
        Ok(assembly.finish())
    }

    /// Goes on where an earlier owner of the build left off: `priors` is how the nodes stood by its last events, for
    /// those that had ended. What was told is not told again. Nodes that the graph does not have are passed over.
    pub fn resume(&mut self, priors: impl IntoIterator<Item = (NodeId, Prior)>) {
        let count = self.nodes.len();
        let known = |(node, _): &(NodeId, Prior)| node.index() < count;
        self.resumed = true;
        self.priors = priors.into_iter().filter(known).collect();
    }

    /// The build's id.
    pub fn id(&self) -> BuildId {
        self.id
    }

    /// Number of nodes.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// Number of edges.
    pub fn edge_count(&self) -> usize {
        self.graph.edge_count()
    }

    /// What each node does, in order.
    pub fn kinds(&self) -> impl Iterator<Item = v1::Kind> + '_ {
        self.nodes.iter().map(|node| node.kind)
    }

    /// Label of a node; None if there is no such node.
    pub fn label(&self, node: NodeId) -> Option<&Arc<str>> {
        Some(&self.nodes.get(node.index())?.label)
    }
}

/// A spec in the making: the edges of a node come before the node itself.
struct Assembly {
    spec: BuildSpec,
    name_index: HashMap<Arc<str>, u32>,
    /// The parts that nodes wait in, of which a hostile graph has one for each node.
    pools: HashSet<Arc<str>>,
    last_pool: Option<(v1::Platform, Arc<str>)>,
    /// The edges of the node in the making, for finding one that occurs twice.
    seen: Vec<(u32, u32)>,
}

impl Assembly {
    fn new(id: BuildId, options: BuildOptions) -> Assembly {
        Assembly {
            spec: BuildSpec {
                id,
                options,
                nodes: Vec::new(),
                graph: Graph::default(),
                names: Vec::new(),
                resumed: false,
                priors: Vec::new(),
            },
            name_index: HashMap::new(),
            pools: HashSet::new(),
            last_pool: None,
            seen: Vec::new(),
        }
    }

    fn next_index(&self) -> Result<u32, GraphError> {
        // One index stays free: counters of nodes and ends of edge rows are u32 as well.
        match u32::try_from(self.spec.nodes.len()) {
            Ok(index) if index < u32::MAX => Ok(index),
            _ => Err(GraphError::TooLarge),
        }
    }

    fn edge(&mut self, label: &Arc<str>, from: u32, output: &str) -> Result<(), GraphError> {
        let node = self.next_index()?;
        let label = || label.clone();
        if from >= node {
            let label = label();
            return Err(GraphError::NotTopological { node, label, from });
        }
        if output.is_empty() {
            let label = label();
            return Err(GraphError::NoOutputName { node, label, from });
        }
        if self.spec.graph.edge_count() >= u32::MAX as usize {
            return Err(GraphError::TooLarge);
        }
        let output = match self.name_index.get(output) {
            Some(index) => *index,
            None => {
                let index = self.spec.names.len() as u32;
                let name: Arc<str> = output.into();
                self.spec.names.push(name.clone());
                self.name_index.insert(name, index);
                index
            }
        };
        self.spec.graph.push_edge(from, output);
        self.seen.push((from, output));
        Ok(())
    }

    fn node(&mut self, node: NodeSpec) -> Result<(), GraphError> {
        let index = self.next_index()?;
        if node.label.is_empty() {
            return Err(GraphError::NoLabel { node: index });
        }
        if node.kind == v1::Kind::Unspecified {
            return Err(GraphError::UnknownKind {
                node: index,
                label: node.label,
                kind: node.kind as i32,
            });
        }
        self.seen.sort_unstable();
        if let Some(twice) = self.seen.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(GraphError::OutputTwice {
                node: index,
                label: node.label,
                from: twice[0].0,
                output: self.spec.names[twice[0].1 as usize].clone(),
            });
        }
        self.seen.clear();
        self.spec.graph.end_node();
        let pool = self.pool(node.platform.as_ref());
        self.spec.nodes.push(NodeInfo {
            pool,
            definition: node.definition,
            label: node.label,
            package: node.package,
            kind: node.kind,
            requested: node.requested,
            duration_ms: super::estimate::duration_ms(node.kind, node.source_bytes, node.estimate),
            duration_estimate: node.estimate.map(|estimate| estimate.duration_ms),
            memory_estimate: node.estimate.map(|estimate| estimate.peak_memory),
        });
        Ok(())
    }

    fn pool(&mut self, platform: Option<&v1::Platform>) -> Arc<str> {
        let options = &self.spec.options;
        let platform = match platform {
            Some(platform) if options.by_platform => platform,
            _ => return options.pool.clone(),
        };
        // A build has actions of one or two platforms, and neighbours are mostly of the same.
        if let Some((last, pool)) = &self.last_pool
            && last == platform
        {
            return pool.clone();
        }
        let part = platform_pool(&options.pool, platform);
        let pool = match self.pools.get(part.as_str()) {
            Some(known) => known.clone(),
            None => {
                let pool: Arc<str> = part.into();
                self.pools.insert(pool.clone());
                pool
            }
        };
        self.last_pool = Some((platform.clone(), pool.clone()));
        pool
    }

    fn finish(self) -> BuildSpec {
        self.spec
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(nodes: &[(&str, &[(u32, &str)])]) -> v1::Graph {
        v1::Graph {
            nodes: nodes
                .iter()
                .map(|(label, inputs)| v1::Node {
                    action: Some(Digest::of(label.as_bytes()).into()),
                    label: label.to_string(),
                    kind: v1::Kind::Compile.into(),
                    package: label.to_string(),
                    inputs: inputs
                        .iter()
                        .map(|(node, output)| v1::Edge {
                            node: *node,
                            output: output.to_string(),
                        })
                        .collect(),
                    source_bytes: 10,
                    requested: false,
                    platform: None,
                    c_toolchain_name: String::new(),
                })
                .collect(),
        }
    }

    fn read(graph: &v1::Graph) -> Result<BuildSpec, String> {
        BuildSpec::from_graph(BuildId(1), BuildOptions::default(), graph, |_| None)
            .map_err(|error| error.to_string())
    }

    fn refused(graph: &v1::Graph) -> String {
        read(graph).unwrap_err()
    }

    #[test]
    fn a_sound_graph_is_taken() {
        let graph = graph(&[
            ("fmt", &[]),
            ("net", &[(0, "export"), (0, "object")]),
            ("main", &[(1, "export"), (0, "export")]),
        ]);
        let spec = read(&graph).unwrap();
        assert_eq!((spec.node_count(), spec.edge_count()), (3, 4));
        assert_eq!(spec.names.len(), 2);
        assert_eq!(&**spec.label(NodeId(1)).unwrap(), "net");
    }

    #[test]
    fn unsound_graphs_are_refused_by_name() {
        assert_eq!(
            refused(&graph(&[("fmt", &[(0, "export")])])),
            "graph: node 0 (fmt) reads from node 0, which does not stand before it"
        );
        assert_eq!(
            refused(&graph(&[("fmt", &[]), ("net", &[(7, "export")])])),
            "graph: node 1 (net) reads from node 7, which does not stand before it"
        );
        assert_eq!(
            refused(&graph(&[
                ("fmt", &[]),
                ("net", &[(0, "export"), (0, "x"), (0, "export")])
            ])),
            "graph: node 1 (net) names output \"export\" of node 0 twice"
        );
        assert_eq!(
            refused(&graph(&[("fmt", &[]), ("net", &[(0, "")])])),
            "graph: node 1 (net) reads from node 0 without naming an output"
        );
        assert_eq!(refused(&graph(&[("", &[])])), "graph: node 0 has no label");
    }

    #[test]
    fn unknown_kinds_and_bad_definitions_are_refused() {
        let mut unknown = graph(&[("fmt", &[])]);
        unknown.nodes[0].kind = 77;
        assert_eq!(
            refused(&unknown),
            "graph: node 0 (fmt) is of unknown kind 77"
        );
        unknown.nodes[0].kind = 0;
        assert_eq!(
            refused(&unknown),
            "graph: node 0 (fmt) is of unknown kind 0"
        );
        let mut without = graph(&[("fmt", &[])]);
        without.nodes[0].action = None;
        assert_eq!(
            refused(&without),
            "graph: node 0 (fmt) has no valid definition digest"
        );
    }
}
