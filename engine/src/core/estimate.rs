//! How long an action will take, and which order follows from that.

use gofarm_proto::Estimate;
use gofarm_proto::v1::Kind;

use super::graph::Graph;
use super::{BuildSpec, NodeId, Priority};

/// Starting a tool, staging and collecting. Keeps a chain of tiny packages from looking free.
const START_MS: u64 = 30;

/// Source that the compiler gets through in a millisecond, bytes. `cmd/go`, `cmd/compile` and `cmd/gofmt` take
/// about 198 core seconds for some 50 MB of source. Only the order of tasks depends on it, so the order of
/// magnitude is all that matters.
const COMPILE_BYTES_PER_MS: u64 = 250;

/// A link reads the object files of the whole program, whose size the graph does not say. Three links of Go's own
/// commands took about three seconds.
const LINK_MS: u64 = 1_000;

/// Preparing a profile is parsing it: fast, but of many megabytes at times.
const PREPROFILE_BYTES_PER_MS: u64 = 5_000;

/// The time an action is taken to need: what is recorded, else a guess from its kind and source bytes.
pub(super) fn duration_ms(kind: Kind, source_bytes: u64, recorded: Option<Estimate>) -> u64 {
    match (recorded, kind) {
        (Some(recorded), _) => recorded.duration_ms,
        (None, Kind::Link) => LINK_MS,
        (None, Kind::Preprofile) => START_MS + source_bytes / PREPROFILE_BYTES_PER_MS,
        (None, Kind::Compile | Kind::Unspecified) => START_MS + source_bytes / COMPILE_BYTES_PER_MS,
    }
}

/// For each node the longest path of work that starts with it and that can only be done one after the other.
/// O(V + E): the topological order is the order of the nodes.
fn remaining_paths(graph: &Graph, duration_ms: &[u64]) -> Vec<Priority> {
    let mut remaining = vec![0u64; duration_ms.len()];
    for node in (0..duration_ms.len()).rev() {
        // Every dependent has a greater index, so the longest tail behind this node is already known.
        let path = remaining[node].saturating_add(duration_ms[node]);
        remaining[node] = path;
        for edge in graph.inputs(node) {
            let tail = &mut remaining[edge.node as usize];
            *tail = (*tail).max(path);
        }
    }
    remaining
        .into_iter()
        .map(Priority::of_remaining_path)
        .collect()
}

impl BuildSpec {
    /// What goes first, node by node. O(V + E).
    pub(super) fn priorities(&self) -> Vec<Priority> {
        let durations: Vec<u64> = self.nodes.iter().map(|node| node.duration_ms).collect();
        remaining_paths(&self.graph, &durations)
    }

    /// The nodes in the order in which they are reached when there is always a worker: greatest priority first, so who is
    /// waited for comes before who waits.
    pub fn by_priority(&self) -> Vec<NodeId> {
        let priorities = self.priorities();
        let mut nodes: Vec<NodeId> = (0..).map(NodeId).take(priorities.len()).collect();
        nodes.sort_by_key(|node| std::cmp::Reverse(priorities[node.index()]));
        nodes
    }
}

#[cfg(test)]
mod tests {
    use gofarm_proto::{Digest, v1};

    use super::*;
    use crate::core::{BuildId, BuildOptions};

    #[test]
    fn the_longest_path_counts() {
        // 0 -> 1 -> 3, 0 -> 2 -> 3, 4 alone.
        let mut graph = Graph::default();
        for inputs in [&[][..], &[0], &[0], &[1, 2], &[]] {
            for input in inputs {
                graph.push_edge(*input, 0);
            }
            graph.end_node();
        }
        let paths = remaining_paths(&graph, &[1, 10, 20, 5, 100]);
        let expected = [26, 15, 25, 5, 100].map(Priority::of_remaining_path);
        assert_eq!(paths, expected);
    }

    #[test]
    fn what_most_work_waits_for_comes_first() {
        let node = |source_bytes, inputs: &[u32]| v1::Node {
            action: Some(Digest::of(b"action").into()),
            label: "compile p".to_owned(),
            kind: Kind::Compile.into(),
            source_bytes,
            inputs: inputs
                .iter()
                .map(|node| v1::Edge {
                    node: *node,
                    output: "x".into(),
                })
                .collect(),
            ..v1::Node::default()
        };
        let nodes = vec![
            node(0, &[]),
            node(1_000_000, &[]),
            node(0, &[0]),
            node(5_000, &[1, 2]),
        ];
        let graph = v1::Graph { nodes };
        let spec = BuildSpec::from_graph(BuildId(1), BuildOptions::default(), &graph, |_| None);
        assert_eq!(spec.unwrap().by_priority(), [1, 0, 2, 3].map(NodeId));
    }

    #[test]
    fn records_go_before_guesses() {
        let recorded = Some(Estimate {
            duration_ms: 3,
            peak_memory: 1,
        });
        assert_eq!(duration_ms(Kind::Link, 0, recorded), 3);
        let (small, large) = (
            duration_ms(Kind::Compile, 1_000, None),
            duration_ms(Kind::Compile, 1_000_000, None),
        );
        assert!(small < large);
    }
}
