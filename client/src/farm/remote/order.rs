//! The order in which the actions of a graph will be reached.

use gofarm_proto::v1;

/// As the scheduler guesses what an action takes of which nothing is recorded, milliseconds: starting it, and reading its
/// source; and a link.
const START: u64 = 30;
const BYTES: u64 = 250;
const LINK: u64 = 1_000;

/// The nodes by the longest path of work that begins with each, longest first: who is waited for comes before who waits.
pub(super) fn by_remaining_path(graph: &v1::Graph) -> Vec<usize> {
    let mut remaining = vec![0u64; graph.nodes.len()];
    for (index, node) in graph.nodes.iter().enumerate().rev() {
        // Every node that reads from this one has a greater index, so the longest way behind it is known.
        let work = match node.kind() {
            v1::Kind::Link => LINK,
            _ => START + node.source_bytes / BYTES,
        };
        let path = remaining[index] + work;
        remaining[index] = path;
        for edge in &node.inputs {
            if let Some(before) = remaining.get_mut(edge.node as usize) {
                *before = path.max(*before);
            }
        }
    }
    let mut order: Vec<usize> = (0..remaining.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(remaining[*index]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_most_work_waits_for_comes_first() {
        let node = |source_bytes, inputs: &[u32]| v1::Node {
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
        assert_eq!(by_remaining_path(&v1::Graph { nodes }), [1, 0, 2, 3]);
    }
}
