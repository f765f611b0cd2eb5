//! Fuzz targets, replayed on their corpora by `cargo test` (see `docs/fuzzing.md`).

use bolero::check;
use gofarm_proto::{Message, v1};

use crate::convert;
use crate::core::{BuildId, BuildOptions, BuildSpec, NodeId};

/// An encoded graph: refused, or one that the core takes.
#[test]
fn graph() {
    check!().for_each(|input: &[u8]| {
        let Ok(graph) = v1::Graph::decode(input) else {
            return;
        };
        for by_platform in [false, true] {
            let options = BuildOptions {
                by_platform,
                ..BuildOptions::default()
            };
            let Ok(spec) = BuildSpec::from_graph(BuildId(1), options, &graph, |_| None) else {
                continue;
            };
            assert_eq!(spec.node_count(), graph.nodes.len());
            let edges: usize = graph.nodes.iter().map(|node| node.inputs.len()).sum();
            assert_eq!(spec.edge_count(), edges);
            assert!(spec.label(NodeId(spec.node_count() as u32)).is_none());
        }
    });
}

/// What replicas, workers and clients tell each other of a build: refused, or the same when it is told on.
#[test]
fn events() {
    check!().for_each(|input: &[u8]| {
        if let Ok(message) = v1::NodeEvent::decode(input)
            && let Ok((node, event)) = convert::node_event(message)
        {
            let told = convert::node_event_message(node, &event);
            assert_eq!(convert::node_event(told).unwrap(), (node, event));
        }
        if let Ok(message) = v1::Outcome::decode(input)
            && let Ok(outcome) = convert::outcome(message)
            && let Some(told) = convert::outcome_message(&outcome)
        {
            assert_eq!(convert::outcome(told).unwrap(), outcome);
        }
        if let Ok(message) = v1::Failure::decode(input)
            && let Ok(failure) = convert::failure(message)
        {
            let told = convert::failure_message(&failure);
            assert_eq!(convert::failure(told).unwrap(), failure);
        }
        if let Ok(message) = v1::BuildFinished::decode(input)
            && let Ok(summary) = convert::summary(&message)
        {
            let told = convert::summary_message(&summary);
            assert_eq!(convert::summary(&told).unwrap(), summary);
        }
        let _ = convert::key(input);
    });
}
