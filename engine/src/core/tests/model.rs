//! What a build must come to: a model without time, workers or a cache.

use std::collections::BTreeSet;
use std::sync::Arc;

use gofarm_proto::{ActionKey, Digest};
use proptest::prelude::*;

use super::node;
use crate::core::*;

/// What the actions of random graphs do. Few, so that equal actions, equal outputs and the like come up often.
pub(super) const ACTIONS: [&str; 6] = [
    "plain", "other",    // Its output does not depend on what it reads.
    "constant", // Copies its first input, so its key may be that of its own input.
    "copy",     // Makes no output "b".
    "lacking", "failing",
];

/// The result of an action: a pure function of the action, its key and, for what is not deterministic, the
/// `generation`. None: it fails.
pub(super) fn run(
    action: &str,
    key: ActionKey,
    produced: &[Digest],
    generation: u32,
) -> Option<Arc<ActionResult>> {
    let content = |name: &str| match (action, produced.first()) {
        ("constant", _) => Digest::of(b"constant"),
        ("copy", Some(first)) => *first,
        _ => Digest::of(format!("{key} {name} {generation}").as_bytes()),
    };
    let names: &[&str] = match action {
        "failing" => return None,
        "lacking" => &["a"],
        _ => &["a", "b"],
    };
    let outputs = names.iter().map(|name| OutputFile {
        name: (*name).into(),
        digest: content(name),
        executable: false,
    });
    Some(Arc::new(ActionResult {
        outputs: outputs.collect(),
        ..ActionResult::default()
    }))
}

/// Index into [`ACTIONS`]; what it reads: (node, output "b" rather than "a"); requested.
pub(super) type ShapedNode = (usize, Vec<(u32, bool)>, bool);

/// A random graph: for each node what it does, what it reads, and whether it is requested.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub nodes: Vec<ShapedNode>,
    pub keep_going: bool,
    pub no_cache: bool,
}

impl Shape {
    pub fn strategy(max_nodes: usize) -> impl Strategy<Value = Shape> {
        let edges = prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..4);
        let action = prop_oneof![8 => 0..4usize, 1 => 4..6usize];
        let nodes = prop::collection::vec((action, edges, any::<bool>()), 0..max_nodes);
        let options = (prop::bool::weighted(0.8), prop::bool::weighted(0.3));
        (nodes, options).prop_map(|(nodes, (keep_going, no_cache))| {
            let nodes = nodes.into_iter().enumerate();
            let nodes = nodes.map(|(index, (action, edges, requested))| {
                let edges: BTreeSet<(u32, bool)> = match index {
                    0 => BTreeSet::new(),
                    _ => {
                        let edges = edges.into_iter();
                        edges
                            .map(|(from, b)| (from.index(index) as u32, b))
                            .collect()
                    }
                };
                (action, edges.into_iter().collect(), requested)
            });
            Shape {
                nodes: nodes.collect(),
                keep_going,
                no_cache,
            }
        })
    }

    pub fn spec(&self, id: u128) -> BuildSpec {
        let options = BuildOptions {
            keep_going: self.keep_going,
            no_cache: self.no_cache,
            ..BuildOptions::default()
        };
        let nodes = self.nodes.iter().map(|(action, edges, requested)| {
            let inputs: Vec<(u32, &str)> = edges
                .iter()
                .map(|(from, b)| (*from, if *b { "b" } else { "a" }))
                .collect();
            let mut node = node(ACTIONS[*action], &inputs);
            node.requested = *requested;
            node
        });
        BuildSpec::new(BuildId(id), options, nodes).unwrap()
    }
}

/// How a node must end when nothing but its own doing can make it fail.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fate {
    Done(Arc<ActionResult>),
    Failed,
    Skipped,
}

/// The fate of each node when no blob is ever made differently.
pub(super) fn fates(shape: &Shape) -> Vec<Fate> {
    let mut fates: Vec<Fate> = Vec::new();
    for (action, edges, _) in &shape.nodes {
        let mut produced = Vec::new();
        let mut lacking = false;
        let mut waiting = false;
        for (from, b) in edges {
            match &fates[*from as usize] {
                Fate::Done(result) => match result.output(if *b { "b" } else { "a" }) {
                    Some(digest) => produced.push(digest),
                    None => lacking = true,
                },
                Fate::Failed | Fate::Skipped => waiting = true,
            }
        }
        let action = ACTIONS[*action];
        let key = ActionKey::new(&Digest::of(action.as_bytes()), produced.iter().copied());
        fates.push(match run(action, key, &produced, 0) {
            _ if waiting => Fate::Skipped,
            _ if lacking => Fate::Failed,
            None => Fate::Failed,
            Some(result) => Fate::Done(result),
        });
    }
    fates
}
