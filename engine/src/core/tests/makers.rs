//! Who has made what, against a look through all results.
//!
//! The look is what the core did before it kept a map: slow, and plainly right. It lives on as the map's model.

use std::collections::BTreeSet;

use gofarm_proto::{ActionKey, Digest};
use proptest::prelude::*;

use super::model::Shape;
use super::world::{Weather, World};
use super::*;
use crate::core::build::{Build, State};
use crate::core::makers::Makers;

/// The map, made anew.
pub(super) fn by_scan(build: &Build) -> Makers {
    let mut makers = Makers::default();
    for (index, node) in build.nodes.iter().enumerate() {
        if let Some(result) = node.result() {
            makers.add(index as u32, result);
        }
    }
    makers
}

fn unmade(build: &Build, node: u32, digests: &[Digest]) -> Vec<Digest> {
    let before = build.nodes.iter().take(node as usize);
    let results: Vec<_> = before.filter_map(|node| node.result()).collect();
    let unmade = |digest: &&Digest| results.iter().all(|result| !result.made(digest));
    digests.iter().filter(unmade).copied().collect()
}

fn producers(build: &Build, node: u32, digests: &[Digest]) -> Result<Vec<(u32, Digest)>, Digest> {
    let mut producers = Vec::new();
    for digest in digests {
        let known = producers.len();
        for edge in build.spec.graph.inputs(node as usize) {
            let output = &build.spec.names[edge.output as usize];
            let result = build.node(edge.node).result();
            if result.and_then(|result| result.output(output)) == Some(*digest) {
                producers.push((edge.node, *digest));
            }
        }
        if producers.len() == known {
            let made = |node: &u32| {
                let result = build.node(*node).result();
                result.is_some_and(|result| result.made(digest))
            };
            producers.push(((0..node).find(made).ok_or(*digest)?, *digest));
        }
    }
    Ok(producers)
}

fn makers_under(build: &Build, key: ActionKey, digests: &[Digest]) -> Vec<(u32, Digest)> {
    let nodes = build.nodes.iter().enumerate();
    let lost = nodes.filter_map(|(index, node)| match (node.state, node.result()) {
        (State::Done(_), Some(result)) if node.key == key => {
            let digest = digests.iter().find(|digest| result.made(digest))?;
            Some((index as u32, *digest))
        }
        _ => None,
    });
    lost.collect()
}

/// Asks the map and the scan the same about each node of each build. `number` says what is asked about.
fn compare(core: &Core, number: u16) {
    for (id, build) in &core.builds {
        let results: Vec<_> = build
            .nodes
            .iter()
            .filter_map(|node| node.result())
            .collect();
        let outputs = results.iter().flat_map(|result| &result.outputs);
        let all: BTreeSet<Digest> = outputs.map(|output| output.digest).collect();
        let chosen = all.iter().enumerate();
        let chosen = chosen.filter(|(index, _)| number >> (index % 16) & 1 == 1);
        let mut digests: Vec<Digest> = chosen.map(|(_, digest)| *digest).collect();
        // What is missed is named in any order, twice, and may be a source.
        if number & 1 == 1 {
            digests.reverse();
            digests.extend(digests.first().copied());
        }
        if number & 2 == 2 {
            digests.push(Digest::of(b"a source"));
        }
        for (index, node) in build.nodes.iter().enumerate() {
            let index = index as u32;
            assert_eq!(
                core.unmade(*id, NodeId(index), &digests),
                unmade(build, index, &digests)
            );
            assert_eq!(
                build.producers(index, &digests),
                producers(build, index, &digests)
            );
            let under = build.makers_under(node.key, &digests);
            assert!(
                under
                    .into_iter()
                    .eq(makers_under(build, node.key, &digests))
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn who_made_what_is_what_a_look_through_all_results_says(
        shapes in prop::collection::vec(Shape::strategy(12), 1..4),
        numbers in prop::collection::vec(any::<u16>(), 0..80),
    ) {
        // Few enough faults that results come, and what is made again comes out differently.
        let weather = Weather { faults: false, losses: true, nondeterminism: true, cancels: true };
        let mut world = World::new(weather);
        for (id, shape) in shapes.iter().enumerate() {
            world.submit(id as u128, shape);
        }
        for number in numbers {
            world.act(number);
            compare(&world.core, number);
        }
    }
}

/// One of two makers of a blob makes another the second time: the blob is then the other's alone, for all three that ask.
#[test]
fn what_comes_out_differently_is_no_longer_its_makers() {
    let nodes = vec![
        node("one", &[]),
        node("two", &[]),
        node("link", &[(0, "o"), (1, "o")]),
        node("late", &[(2, "o")]),
    ];
    let mut bench = Bench::default();
    bench.submit(spec(1, BuildOptions::default(), nodes));
    bench.miss_all();
    let key = bench.task("one").key;
    bench.run("one", &[("o", "same")]);
    bench.run("two", &[("o", "same")]);
    bench.run("link", &[("o", "program")]);
    let (same, new) = (Digest::of(b"same"), Digest::of(b"new"));
    let unmade = |bench: &Bench, node| bench.core.unmade(BuildId(1), NodeId(node), &[same, new]);
    assert_eq!(unmade(&bench, 0), [same, new]);
    assert_eq!(unmade(&bench, 1), [new]);

    let digests = Box::new([same]);
    bench.step(Event::OutputsMissing { key, digests });
    // Reopened, it still counts as the maker: it is on its way.
    assert_eq!(unmade(&bench, 1), [new]);
    bench.run("one", &[("o", "new")]);
    assert_eq!(unmade(&bench, 1), [same]);
    assert_eq!(unmade(&bench, 2), []);
    let digests = Box::new([same]);
    bench.step(Event::OutputsMissing { key, digests });
    assert_eq!(
        bench.core.ignored().unknown_output,
        1,
        "it is not the maker of this any more"
    );
}
