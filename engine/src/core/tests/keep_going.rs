//! What a failure does to the rest of its build.

use super::*;

fn nodes() -> Vec<NodeSpec> {
    vec![
        node("bad", &[]),
        node("good", &[]),
        node("behind bad", &[(0, "o"), (1, "o")]),
        node("link", &[(2, "o")]),
        node("behind good", &[(1, "o")]),
    ]
}

#[test]
fn independent_nodes_go_on_and_dependents_name_what_they_wait_for() {
    let mut bench = Bench::default();
    bench.submit(spec(1, BuildOptions::default(), nodes()));
    bench.miss_all();
    bench.fail("bad");
    for node in [2, 3] {
        let [NodeEvent::Skipped { waits_for }] = bench.said(1, node)[..] else {
            panic!("{:?}", bench.said(1, node));
        };
        assert_eq!(&**waits_for, "bad");
    }
    bench.run("good", &[("o", "x")]);
    bench.run("behind good", &[]);
    let summary = bench.summary(1).unwrap();
    assert_eq!(summary.result, BuildResult::Failed);
    let counts = summary.counts;
    assert_eq!((counts.executed, counts.failed, counts.skipped), (2, 1, 2));
}

#[test]
fn otherwise_the_first_failure_ends_the_build() {
    let mut bench = Bench::default();
    let options = BuildOptions {
        keep_going: false,
        ..BuildOptions::default()
    };
    bench.submit(spec(1, options, nodes()));
    bench.miss_all();
    let good = bench.task("good");
    bench.fail("bad");
    assert_eq!(bench.cancelled, [(good.key, good.run)]);
    assert_eq!(bench.said(1, 1), [&NodeEvent::Cancelled]);
    let summary = bench.summary(1).unwrap();
    assert_eq!(summary.result, BuildResult::Failed);
    let counts = summary.counts;
    assert_eq!((counts.failed, counts.skipped, counts.cancelled), (1, 2, 2));
    bench.done(&good, Outcome::Succeeded(result(&[("o", "x")])));
    assert!(bench.notes.is_empty(), "a finished build says nothing");
}
