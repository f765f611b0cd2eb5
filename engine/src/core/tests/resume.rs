//! Builds that another scheduler began, and builds that another one has taken.

use super::*;

fn chain() -> Vec<NodeSpec> {
    vec![
        node("compile a", &[]),
        node("compile b", &[(0, "out")]),
        node("compile c", &[(1, "out")]),
    ]
}

fn made(content: &str) -> Arc<ActionResult> {
    let mut made = (*result(&[("out", content)])).clone();
    made.usage.wall_ms = 100;
    Arc::new(made)
}

/// A build whose first two nodes were told to be done.
fn resumed(options: BuildOptions) -> Bench {
    let mut first = Bench::default();
    first.submit(spec(1, BuildOptions::default(), chain()));
    first.miss_all();
    let mut priors = Vec::new();
    for (index, content) in ["a", "b"].into_iter().enumerate() {
        let task = first.task(&format!("compile {content}"));
        priors.push((
            NodeId(index as u32),
            Prior::Done {
                key: task.key,
                how: Resolution::Executed,
                result: made(content),
            },
        ));
        first.done(&task, Outcome::Succeeded(made(content)));
        first.miss_all();
    }
    let mut spec = spec(1, options, chain());
    spec.resume(priors);
    let mut bench = Bench::default();
    bench.submit(spec);
    bench
}

fn answer(bench: &mut Bench, result: Option<Arc<ActionResult>>) {
    let (key, verify) = bench.lookups.remove(0);
    bench.step(Event::CacheAnswer {
        key,
        verify,
        result,
    });
}

#[test]
fn what_was_told_is_not_told_again_and_counts_as_it_did() {
    for no_cache in [false, true] {
        let mut bench = resumed(BuildOptions {
            no_cache,
            ..BuildOptions::default()
        });
        assert_eq!(bench.notes, []);
        for content in ["a", "b"] {
            answer(&mut bench, Some(made(content)));
            assert!(bench.said(1, 0).is_empty() && bench.said(1, 1).is_empty());
        }
        bench.miss_all();
        let task = bench.task("compile c");
        bench.done(&task, Outcome::Succeeded(made("c")));
        let summary = bench.summary(1).unwrap();
        assert_eq!((summary.counts.executed, summary.counts.cached), (3, 0));
        assert_eq!(summary.critical_path_ms, 300);
    }
}

#[test]
fn a_result_that_is_gone_is_taken_back_before_it_is_made_again() {
    let mut bench = resumed(BuildOptions::default());
    answer(&mut bench, None);
    assert!(matches!(
        bench.said(1, 0)[..],
        [NodeEvent::Reopened { lost: true }, NodeEvent::Queued]
    ));
    // It comes out differently, so what was told of its reader is of other inputs.
    let task = bench.task("compile a");
    bench.done(&task, Outcome::Succeeded(made("other")));
    bench.miss_all();
    assert!(matches!(
        bench.said(1, 1)[..],
        [NodeEvent::Reopened { lost: true }, NodeEvent::Queued]
    ));
}

#[test]
fn a_build_that_ends_early_keeps_what_was_told() {
    let mut bench = resumed(BuildOptions::default());
    bench.step(Event::Cancel(BuildId(1)));
    let summary = bench.summary(1).unwrap();
    assert_eq!((summary.counts.executed, summary.counts.cancelled), (2, 1));
    assert_eq!(bench.notes.len(), 1);
}

#[test]
fn what_had_failed_has_failed_without_being_tried() {
    let mut spec = spec(1, BuildOptions::default(), chain());
    let failure = Arc::new(Failure::Action { result: made("a") });
    spec.resume([
        (NodeId(0), Prior::Failed(failure)),
        (NodeId(1), Prior::Skipped),
    ]);
    let mut bench = Bench::default();
    bench.submit(spec);
    assert!(bench.tasks.is_empty() && bench.lookups.is_empty());
    assert!(bench.said(1, 0).is_empty() && bench.said(1, 1).is_empty());
    assert!(matches!(bench.said(1, 2)[..], [NodeEvent::Skipped { .. }]));
    let counts = bench.summary(1).unwrap().counts;
    assert_eq!((counts.failed, counts.skipped), (1, 2));
}

#[test]
fn a_build_that_is_let_go_of_says_nothing_and_leaves_the_others_their_tasks() {
    let mut bench = Bench::default();
    bench.submit(spec(1, BuildOptions::default(), chain()));
    let mut other = chain();
    other.push(node("compile d", &[]));
    bench.submit(spec(2, BuildOptions::default(), other));
    bench.miss_all();
    bench.step(Event::Forget(BuildId(2)));
    assert_eq!(bench.notes, []);
    // What only it wanted.
    let cancelled: Vec<_> = bench.cancelled.iter().map(|(key, _)| *key).collect();
    assert_eq!(cancelled, [bench.task("compile d").key]);
    assert_eq!(bench.core.open_builds().collect::<Vec<_>>(), [BuildId(1)]);
}
