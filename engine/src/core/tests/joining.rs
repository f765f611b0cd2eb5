//! Single flight: one running execution per key, whoever wants it.

use super::*;

fn one(id: u128, no_cache: bool) -> BuildSpec {
    let options = BuildOptions {
        no_cache,
        ..BuildOptions::default()
    };
    spec(id, options, vec![node("a", &[])])
}

fn how(bench: &Bench, build: u128) -> Resolution {
    match bench.said(build, 0)[..] {
        [NodeEvent::Finished { how, .. }] => *how,
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn two_builds_share_one_execution() {
    let mut bench = Bench::default();
    bench.submit(one(1, false));
    bench.miss_all();
    let task = bench.task("a");
    bench.start(&task);
    bench.submit(one(2, false));
    assert!(bench.lookups.is_empty(), "the cache has just been asked");
    let said = bench.said(2, 0);
    assert!(matches!(
        said[..],
        [NodeEvent::Queued, NodeEvent::Started { .. }]
    ));
    assert_eq!(bench.tasks.len(), 1);
    bench.run("a", &[("o", "x")]);
    assert_eq!(how(&bench, 1), Resolution::Executed);
    assert_eq!(how(&bench, 2), Resolution::Joined);
    assert_eq!(bench.recorded, [task.key], "recorded once");
    assert!(bench.summary(1).is_some() && bench.summary(2).is_some());
}

#[test]
fn two_equal_nodes_of_one_build_run_once() {
    let mut bench = Bench::default();
    let nodes = vec![
        node("a", &[]),
        node("a", &[]),
        node("b", &[(0, "o")]),
        node("b", &[(1, "o")]),
    ];
    bench.submit(spec(1, BuildOptions::default(), nodes));
    assert_eq!(bench.lookups.len(), 1);
    bench.miss_all();
    bench.run("a", &[("o", "x")]);
    assert_eq!(bench.tasks.len(), 1);
    bench.run("b", &[("o", "y")]);
    let counts = bench.summary(1).unwrap().counts;
    assert_eq!((counts.executed, counts.joined), (2, 2));
}

#[test]
fn one_of_two_sharers_leaving_changes_nothing_and_the_last_one_ends_it() {
    let mut bench = Bench::default();
    bench.submit(one(1, false));
    bench.miss_all();
    bench.submit(one(2, false));
    let task = bench.task("a");
    bench.step(Event::Cancel(BuildId(1)));
    assert!(bench.cancelled.is_empty());
    assert_eq!(bench.summary(1).unwrap().result, BuildResult::Cancelled);
    assert_eq!(bench.summary(1).unwrap().counts.cancelled, 1);
    bench.step(Event::Cancel(BuildId(2)));
    assert_eq!(bench.cancelled, [(task.key, task.run)]);
    assert_eq!(bench.core.open_tasks(), 1, "until the queue has answered");
    bench.done(&task, Outcome::Cancelled);
    assert_eq!(bench.core.open_tasks(), 0);
    assert!(bench.notes.is_empty());
}

#[test]
fn who_wants_a_task_that_is_being_cancelled_gets_the_next_run() {
    let mut bench = Bench::default();
    bench.submit(one(1, false));
    bench.miss_all();
    let task = bench.task("a");
    bench.start(&task);
    bench.step(Event::Cancel(BuildId(1)));
    bench.submit(one(2, false));
    bench.miss_all();
    assert_eq!(bench.task("a").run, task.run, "no second task beside it");
    bench.done(&task, Outcome::Cancelled);
    assert!(bench.tasks.is_empty(), "the cache is asked once more first");
    bench.miss_all();
    assert_ne!(bench.task("a").run, task.run);
    bench.run("a", &[]);
}

#[test]
fn a_result_that_came_before_the_cancel_is_kept() {
    let mut bench = Bench::default();
    bench.submit(one(1, false));
    bench.miss_all();
    let task = bench.task("a");
    bench.step(Event::Cancel(BuildId(1)));
    bench.done(&task, Outcome::Succeeded(result(&[])));
    assert_eq!(bench.recorded, [task.key]);
}

#[test]
fn without_the_cache_only_a_run_that_began_later_serves() {
    let mut bench = Bench::default();
    bench.submit(one(1, false));
    bench.miss_all();
    let task = bench.task("a");
    bench.start(&task);
    bench.submit(one(2, true));
    assert!(bench.lookups.is_empty());
    bench.done(&task, Outcome::Succeeded(result(&[])));
    assert!(bench.summary(1).is_some());
    assert!(bench.summary(2).is_none());
    let again = bench.task("a");
    assert_ne!(again.run, task.run);
    bench.submit(one(3, true));
    assert_eq!(bench.tasks.len(), 1, "still queued, so it serves");
    bench.done(&again, Outcome::Succeeded(result(&[])));
    assert_eq!(how(&bench, 2), Resolution::Executed);
    assert_eq!(how(&bench, 3), Resolution::Joined);
}

#[test]
fn a_retry_begins_later_and_serves_those_who_waited_for_that() {
    let mut bench = Bench::default();
    bench.submit(one(1, false));
    bench.miss_all();
    let task = bench.task("a");
    bench.start(&task);
    bench.submit(one(2, true));
    bench.done(&task, Outcome::LostLease);
    bench.run("a", &[]);
}

#[test]
fn a_sharer_in_more_hurry_moves_the_task_forward() {
    let mut bench = Bench::default();
    bench.submit(one(1, false));
    bench.miss_all();
    let task = bench.task("a");
    let nodes = vec![node("a", &[]), node("b", &[(0, "o")])];
    bench.submit(spec(2, BuildOptions::default(), nodes));
    let moved = bench.task("a");
    assert!(moved.priority > task.priority);
    assert_eq!(moved.run, task.run);
}

#[test]
fn a_failure_is_shared_and_not_seen_twice() {
    let mut bench = Bench::default();
    // The second "a" becomes ready when the first has failed.
    let nodes = vec![
        node("x", &[]),
        node("y", &[]),
        node("a", &[(0, "o")]),
        node("a", &[(1, "o")]),
    ];
    bench.submit(spec(1, BuildOptions::default(), nodes));
    bench.miss_all();
    bench.run("x", &[("o", "same")]);
    bench.fail("a");
    bench.run("y", &[("o", "same")]);
    assert!(bench.tasks.is_empty());
    let counts = bench.summary(1).unwrap().counts;
    assert_eq!((counts.executed, counts.failed), (2, 2));
}

#[test]
fn a_miss_that_was_asked_for_before_the_run_does_not_run_it_again() {
    let mut bench = Bench::default();
    let mut requested = node("a", &[]);
    requested.requested = true;
    bench.submit(spec(
        1,
        BuildOptions::default(),
        vec![node("a", &[]), requested],
    ));
    // One lookup asks for the blobs to be verified, one does not.
    let late = bench.lookups.pop().unwrap();
    bench.miss_all();
    bench.run("a", &[("o", "x")]);
    bench.lookups.push(late);
    bench.miss_all();
    assert!(bench.tasks.is_empty());
    assert_eq!(bench.summary(1).unwrap().counts.joined, 1);
}

#[test]
fn a_start_told_late_does_not_make_a_run_look_younger() {
    let mut bench = Bench::default();
    bench.submit(one(1, false));
    bench.miss_all();
    let task = bench.task("a");
    bench.start(&task);
    bench.submit(one(2, true));
    bench.step(Event::TaskStarted {
        key: task.key,
        run: task.run,
        worker: "w2".into(),
    });
    bench.submit(one(3, true));
    bench.done(&task, Outcome::Succeeded(result(&[])));
    assert!(bench.summary(2).is_none() && bench.summary(3).is_none());
    bench.run("a", &[]);
}

#[test]
fn a_requested_node_does_not_trust_a_result_whose_blobs_nobody_looked_for() {
    let mut bench = Bench::default();
    let mut requested = node("a", &[(1, "o")]);
    requested.requested = true;
    let nodes = vec![
        node("x", &[]),
        node("y", &[]),
        node("a", &[(0, "o")]),
        requested,
    ];
    bench.submit(spec(1, BuildOptions::default(), nodes));
    bench.miss_all();
    let x = bench.task("x");
    bench.done(&x, Outcome::Succeeded(result(&[("o", "same")])));
    let (key, verify) = bench.lookups.pop().unwrap();
    assert!(!verify);
    bench.step(Event::CacheAnswer {
        key,
        verify,
        result: Some(result(&[("o", "from the cache")])),
    });
    let y = bench.task("y");
    bench.done(&y, Outcome::Succeeded(result(&[("o", "same")])));
    assert_eq!(bench.lookups, [(key, true)]);
    bench.miss_all();
    bench.run("a", &[("o", "from the cache")]);
    let counts = bench.summary(1).unwrap().counts;
    assert_eq!((counts.executed, counts.cached), (3, 1));
}

/// One pool has no worker at all, and its build fails for it; that of the other pool goes on.
#[test]
fn builds_of_different_pools_do_not_wait_for_each_others_workers() {
    let mut bench = Bench::default();
    let of_pool = |id, pool: &str| {
        let options = BuildOptions {
            pool: pool.into(),
            ..BuildOptions::default()
        };
        spec(id, options, vec![node("a", &[])])
    };
    bench.submit(of_pool(1, "none"));
    bench.miss_all();
    let nowhere = bench.task("a");
    bench.submit(of_pool(2, "some"));
    assert!(bench.lookups.is_empty(), "the cache has just been asked");
    let task = bench.task("a");
    assert_eq!((&*nowhere.pool, &*task.pool), ("none", "some"));
    assert_eq!(nowhere.key, task.key);
    assert_ne!(nowhere.run, task.run);
    bench.start(&task);
    let reason = "no worker".into();
    bench.done(&nowhere, Outcome::Unplaceable { reason });
    assert_eq!(bench.summary(1).unwrap().result, BuildResult::Failed);
    bench.done(&task, Outcome::Succeeded(result(&[("o", "x")])));
    assert_eq!(bench.summary(2).unwrap().result, BuildResult::Succeeded);
    assert_eq!(how(&bench, 2), Resolution::Executed);
    assert_eq!(bench.core.open_tasks(), 0);
}
