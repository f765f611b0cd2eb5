//! The edges of a build, both ways, in four flat arrays.

/// An input edge: which output of which node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CompactEdge {
    pub node: u32,
    /// Index into the names of the spec.
    pub output: u32,
}

/// Edges in compressed rows. Built node by node with [`Graph::push_edge`] and [`Graph::end_node`]; the way back
/// is added once by [`Graph::link_dependents`].
#[derive(Clone, Debug, Default)]
pub(super) struct Graph {
    /// `edges[ends[n - 1]..ends[n]]` are the inputs of n, in the action's order.
    edges: Vec<CompactEdge>,
    ends: Vec<u32>,
    /// The same for dependents, each once, ascending.
    dependents: Vec<u32>,
    dependent_ends: Vec<u32>,
}

impl Graph {
    pub fn push_edge(&mut self, node: u32, output: u32) {
        self.edges.push(CompactEdge { node, output });
    }

    /// The edges pushed since the last call are the inputs of the next node.
    pub fn end_node(&mut self) {
        self.ends.push(self.edges.len() as u32);
    }

    pub fn node_count(&self) -> usize {
        self.ends.len()
    }

    pub fn edge_count(&self) -> usize {
        self.edges.len()
    }

    pub fn inputs(&self, node: usize) -> &[CompactEdge] {
        let start = if node == 0 { 0 } else { self.ends[node - 1] };
        &self.edges[start as usize..self.ends[node] as usize]
    }

    /// Nodes that read an output of this one, each once.
    pub fn dependents(&self, node: usize) -> &[u32] {
        let start = if node == 0 {
            0
        } else {
            self.dependent_ends[node - 1]
        };
        &self.dependents[start as usize..self.dependent_ends[node] as usize]
    }

    /// Fills in the way back and returns for each node how many different nodes it reads from.
    pub fn link_dependents(&mut self) -> Vec<u32> {
        let count = self.node_count();
        let mut producers = vec![0u32; count];
        let mut ends = vec![0u32; count];
        // `reader[p]` is one more than the last node seen to read p: a node may read two outputs of p.
        let mut reader = vec![0u32; count];
        for (node, producers) in producers.iter_mut().enumerate() {
            for edge in self.inputs(node) {
                let from = edge.node as usize;
                if reader[from] != node as u32 + 1 {
                    reader[from] = node as u32 + 1;
                    *producers += 1;
                    ends[from] += 1;
                }
            }
        }
        let mut total = 0;
        for end in &mut ends {
            // Now the start of the row; filling it moves it to its end.
            let length = *end;
            *end = total;
            total += length;
        }
        let mut dependents = vec![0u32; total as usize];
        reader.fill(0);
        for node in 0..count {
            for edge in self.inputs(node) {
                let from = edge.node as usize;
                if reader[from] != node as u32 + 1 {
                    reader[from] = node as u32 + 1;
                    dependents[ends[from] as usize] = node as u32;
                    ends[from] += 1;
                }
            }
        }
        self.dependents = dependents;
        self.dependent_ends = ends;
        producers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependents_are_the_way_back_each_once() {
        let mut graph = Graph::default();
        graph.end_node();
        graph.push_edge(0, 0);
        graph.push_edge(0, 1);
        graph.end_node();
        graph.push_edge(1, 0);
        graph.push_edge(0, 0);
        graph.end_node();
        assert_eq!(graph.link_dependents(), [0, 1, 2]);
        assert_eq!(graph.dependents(0), [1, 2]);
        assert_eq!(graph.dependents(1), [2]);
        assert!(graph.dependents(2).is_empty());
        assert_eq!(graph.inputs(1).len(), 2);
        assert_eq!(graph.edge_count(), 4);
    }
}
