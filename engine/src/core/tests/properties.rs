//! Random histories: what holds at the end of each, whatever happened.

use proptest::prelude::*;

use super::model::{Fate, Shape, fates};
use super::world::{Watched, Weather, World};
use crate::core::*;

const CALM: Weather = Weather {
    faults: false,
    losses: false,
    nondeterminism: false,
    cancels: false,
};

fn play(weather: Weather, shapes: &[Shape], numbers: &[u16]) -> World {
    let mut world = World::new(weather);
    let pause = numbers.len() / shapes.len().max(1);
    for (id, shape) in shapes.iter().enumerate() {
        world.submit(id as u128, shape);
        for number in numbers.iter().skip(id * pause).take(pause) {
            world.act(*number);
        }
    }
    world.drain();
    world
}

/// Builds end, counts add up, skipped nodes wait for a failed one, keys belong to the inputs.
fn check(world: &World) {
    assert_eq!(world.core.open_builds().count(), 0);
    assert_eq!(world.core.open_tasks() + world.core.open_lookups(), 0);
    for (id, watched) in &world.watched {
        let shape = &world.shapes[id];
        let summary = watched.summary.as_ref().expect("every build ends");
        let counts = summary.counts;
        assert_eq!(counts.total, watched.total);
        let ended = counts.executed + counts.cached + counts.joined;
        let rest = counts.failed + counts.skipped + counts.cancelled;
        assert_eq!(ended + rest, counts.total);
        let of_kinds: u32 = summary.kinds.iter().map(|(_, counts)| counts.total).sum();
        assert_eq!(of_kinds, counts.total);
        let result = match (counts.failed, counts.cancelled) {
            (0, 0) => BuildResult::Succeeded,
            (0, _) => BuildResult::Cancelled,
            (_, 0) => BuildResult::Failed,
            // The build gave up on its first failure, or was cancelled after one.
            _ => summary.result,
        };
        assert_eq!(summary.result, result);
        let spec = shape.spec(*id);
        for (node, event) in &watched.nodes {
            if let NodeEvent::Skipped { waits_for } = event {
                let failed = watched.nodes.iter().any(|(other, event)| {
                    matches!(event, NodeEvent::Failed { .. })
                        && spec.label(NodeId(*other)) == Some(waits_for)
                        && *other < *node
                });
                assert!(failed, "{node} waits for {waits_for}, which did not fail");
            }
        }
        if summary.result == BuildResult::Succeeded {
            check_results(world, shape, watched);
        }
    }
}

/// Each node's key is made of what the nodes it reads came to in the end.
fn check_results(world: &World, shape: &Shape, watched: &Watched) {
    use gofarm_proto::{ActionKey, Digest};
    let result = |node: u32| match &watched.nodes[&node] {
        NodeEvent::Finished { result, key, .. } => (result, *key),
        other => panic!("{node} ended as {other:?}"),
    };
    for (index, (action, edges, requested)) in shape.nodes.iter().enumerate() {
        let (made, key) = result(index as u32);
        let produced = edges.iter().map(|(from, b)| {
            let output = result(*from).0.output(if *b { "b" } else { "a" });
            output.expect("nothing lacks in a build that succeeded")
        });
        let definition = Digest::of(super::model::ACTIONS[*action].as_bytes());
        assert_eq!(key, ActionKey::new(&definition, produced), "node {index}");
        if *requested {
            let mut outputs = made.outputs.iter();
            assert!(outputs.all(|output| world.kept(&output.digest, watched.submitted)));
        }
    }
}

/// Every node came to what the model says.
fn check_fates(world: &World) {
    for (id, watched) in &world.watched {
        let shape = &world.shapes[id];
        if !shape.keep_going {
            continue;
        }
        for (node, fate) in fates(shape).into_iter().enumerate() {
            let event = &watched.nodes[&(node as u32)];
            let same = match (&fate, event) {
                (Fate::Done(expected), NodeEvent::Finished { result, .. }) => expected == result,
                (Fate::Failed, NodeEvent::Failed { .. }) => true,
                (Fate::Skipped, NodeEvent::Skipped { .. }) => true,
                _ => false,
            };
            assert!(same, "node {node} of {id}: {event:?}, expected {fate:?}");
        }
    }
}

fn shapes() -> impl Strategy<Value = Vec<Shape>> {
    prop::collection::vec(Shape::strategy(12), 1..4)
}

fn numbers() -> impl Strategy<Value = Vec<u16>> {
    prop::collection::vec(any::<u16>(), 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn without_trouble_each_key_runs_once_and_results_are_the_models(
        shapes in shapes(),
        numbers in numbers(),
    ) {
        let world = play(CALM, &shapes, &numbers);
        check(&world);
        check_fates(&world);
        let forced = shapes.iter().filter(|shape| shape.no_cache).count() as u32;
        // Failures are not cached: each build may see one for itself.
        let builds = shapes.len() as u32;
        prop_assert!(world.executions().all(|times| times <= builds.max(1 + forced)));
        if forced == 0 && shapes.iter().all(|shape| shape.keep_going && !fates(shape).contains(&Fate::Failed)) {
            prop_assert!(world.executions().all(|times| times == 1));
        }
    }

    #[test]
    fn whatever_happens_builds_end_and_add_up(
        shapes in shapes(),
        numbers in numbers(),
        nondeterminism in any::<bool>(),
    ) {
        let weather = Weather { faults: true, losses: true, nondeterminism, cancels: true };
        let world = play(weather, &shapes, &numbers);
        check(&world);
    }

    #[test]
    fn lost_blobs_change_no_result(shapes in shapes(), numbers in numbers()) {
        // Few enough losses that no store is given up on.
        let mut losses = 0;
        let numbers: Vec<u16> = numbers
            .into_iter()
            .filter(|number| {
                losses += u32::from(matches!(number & 15, 11 | 12));
                losses <= 3 || !matches!(number & 15, 11 | 12)
            })
            .collect();
        let world = play(Weather { losses: true, ..CALM }, &shapes, &numbers);
        check(&world);
        check_fates(&world);
    }

    #[test]
    fn equal_histories_give_equal_effects(shapes in shapes(), numbers in numbers()) {
        let weather = Weather { faults: true, losses: true, nondeterminism: true, cancels: true };
        let (one, two) = (play(weather, &shapes, &numbers), play(weather, &shapes, &numbers));
        prop_assert_eq!(format!("{:?}", one.watched), format!("{:?}", two.watched));
        prop_assert_eq!(one.core.ignored(), two.core.ignored());
    }
}
