//! Random builds, and what must come of them: a reference that executes one action after the other.

use std::sync::Arc;

use gofarm_engine::core::{
    ActionResult, BuildId, BuildOptions, BuildSpec, Edge, Estimate, GraphError, NodeId, NodeSpec,
    OutputFile,
};
use gofarm_proto::{ActionKey, Digest, v1};

use crate::random::Random;

/// What actions do. Few, so that equal actions, equal outputs and equal keys come up often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    /// Outputs depend on all that it reads.
    Compile,
    /// Outputs do not depend on what it reads: what it makes again is what was there.
    Constant,
    /// Hands its first input on, so that a key may be that of its own input.
    Copy,
    /// Makes no output "b".
    Lacking,
    /// Ends with exit code 1.
    Failing,
}

/// An action of a random build.
#[derive(Clone, Debug)]
struct ShapedNode {
    does: Does,
    variant: u64,
    /// What it reads: node, and output "b" rather than "a".
    inputs: Vec<(u32, bool)>,
    requested: bool,
}

/// A random build.
#[derive(Clone, Debug)]
pub struct Shape {
    nodes: Vec<ShapedNode>,
    /// Nodes that do not depend on a failed one go on.
    pub keep_going: bool,
    no_cache: bool,
    /// Whose workers run it.
    pool: Arc<str>,
}

/// How a node must end when nothing but its own doing can make it fail.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// With this result.
    Done(Arc<ActionResult>),
    /// With a non-zero exit code, or for want of an input that no action makes.
    Failed,
    /// An input of it will never be there.
    Skipped,
}

impl Shape {
    /// At most `size` actions.
    pub fn random(random: &mut Random, size: u64) -> Shape {
        let faulty = random.chance(300);
        let count = random.between(1, size);
        let nodes = (0..count).map(|index| {
            let does = match random.below(20) {
                0 => Does::Constant,
                1 => Does::Copy,
                2 if faulty => Does::Lacking,
                3 if faulty => Does::Failing,
                _ => Does::Compile,
            };
            let edges = if index == 0 { 0 } else { random.below(4) };
            let mut inputs: Vec<(u32, bool)> = (0..edges)
                .map(|_| (random.below(index) as u32, random.chance(300)))
                .collect();
            inputs.sort_unstable();
            inputs.dedup();
            ShapedNode {
                does,
                variant: random.below(6),
                inputs,
                requested: random.chance(200),
            }
        });
        Shape {
            nodes: nodes.collect(),
            keep_going: random.chance(850),
            no_cache: random.chance(100),
            pool: "default".into(),
        }
    }

    /// The same build by the workers of another pool.
    pub fn of_pool(self, pool: &str) -> Shape {
        let pool = pool.into();
        Shape { pool, ..self }
    }

    /// Whose workers run it.
    pub fn pool(&self) -> &Arc<str> {
        &self.pool
    }

    /// The same build after an edit: one action does something else.
    pub fn edited(&self, random: &mut Random) -> Shape {
        let mut shape = self.clone();
        let node = random.index(shape.nodes.len());
        shape.nodes[node].variant += 6;
        shape
    }

    /// Number of actions.
    pub fn size(&self) -> usize {
        self.nodes.len()
    }

    /// What a person calls a node.
    pub fn label(&self, node: u32) -> String {
        self.nodes[node as usize].label()
    }

    /// Blobs that a client has to upload before.
    pub fn sources(&self) -> impl Iterator<Item = Digest> + '_ {
        self.nodes.iter().map(ShapedNode::definition)
    }

    /// The blob that holds the graph.
    pub fn graph(&self) -> Digest {
        Digest::of(format!("{self:?}").as_bytes())
    }

    /// The nodes whose outputs the client wants.
    pub fn requested(&self) -> impl Iterator<Item = u32> + '_ {
        let nodes = (0..).zip(&self.nodes);
        nodes.filter_map(|(index, node)| node.requested.then_some(index))
    }

    /// As it is submitted, with the duration that is recorded of each of its actions, milliseconds.
    ///
    /// # Errors
    ///
    /// Never for a random shape.
    pub fn spec(&self, id: BuildId, recorded: Option<u64>) -> Result<BuildSpec, GraphError> {
        let options = BuildOptions {
            keep_going: self.keep_going,
            no_cache: self.no_cache,
            pool: self.pool.clone(),
            ..BuildOptions::default()
        };
        let nodes = self.nodes.iter().map(|node| NodeSpec {
            definition: node.definition(),
            label: node.label().into(),
            package: node.label().into(),
            kind: v1::Kind::Compile,
            inputs: node.edges(),
            requested: node.requested,
            source_bytes: 1000,
            estimate: recorded.map(|duration_ms| Estimate {
                duration_ms,
                peak_memory: 0,
            }),
            platform: None,
        });
        BuildSpec::new(id, options, nodes)
    }

    /// How each node must end: a sequential execution.
    pub fn fates(&self) -> Vec<Fate> {
        let mut fates: Vec<Fate> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let mut produced = Vec::new();
            let mut fate = None;
            for (from, b) in &node.inputs {
                match &fates[*from as usize] {
                    Fate::Done(result) => match result.output(name(*b)) {
                        Some(digest) => produced.push(digest),
                        None => fate = fate.or(Some(Fate::Failed)),
                    },
                    // To be skipped goes before lacking an input: it is never dispatched.
                    Fate::Failed | Fate::Skipped => fate = Some(Fate::Skipped),
                }
                if fate == Some(Fate::Skipped) {
                    break;
                }
            }
            fates.push(fate.unwrap_or_else(|| {
                let key = ActionKey::new(&node.definition(), produced.iter().copied());
                let result = execute(&node.label(), &key, &produced);
                match result.exit_code {
                    0 => Fate::Done(Arc::new(result)),
                    _ => Fate::Failed,
                }
            }));
        }
        fates
    }
}

impl ShapedNode {
    fn label(&self) -> String {
        format!("{:?} {}", self.does, self.variant)
    }

    fn definition(&self) -> Digest {
        Digest::of(self.label().as_bytes())
    }

    fn edges(&self) -> Vec<Edge> {
        let edges = self.inputs.iter().map(|(from, b)| Edge {
            node: NodeId(*from),
            output: name(*b).into(),
        });
        edges.collect()
    }
}

fn name(b: bool) -> &'static str {
    if b { "b" } else { "a" }
}

/// Does what an action of a random build does: a pure function, as compilers are.
pub fn execute(label: &str, key: &ActionKey, produced: &[Digest]) -> ActionResult {
    let does = label.split(' ').next().unwrap_or_default();
    let names: &[&str] = match does {
        "Failing" => {
            return ActionResult {
                exit_code: 1,
                ..ActionResult::default()
            };
        }
        "Lacking" => &["a"],
        _ => &["a", "b"],
    };
    let content = |name: &str| match (does, produced.first()) {
        ("Constant", _) => Digest::of(b"constant"),
        ("Copy", Some(first)) => *first,
        _ => {
            let mut text = key.0.to_vec();
            text.extend_from_slice(name.as_bytes());
            Digest::of(&text)
        }
    };
    let outputs = names.iter().map(|name| OutputFile {
        name: (*name).into(),
        digest: content(name),
        executable: false,
    });
    ActionResult {
        outputs: outputs.collect(),
        ..ActionResult::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_random_shape_is_a_sound_graph() {
        for seed in 0..200 {
            let random = &mut Random::new(seed);
            let shape = Shape::random(random, 40);
            assert!(shape.spec(BuildId(1), None).is_ok());
            assert_eq!(shape.fates().len(), shape.size());
            assert!(shape.edited(random).spec(BuildId(2), Some(1)).is_ok());
        }
    }
}
