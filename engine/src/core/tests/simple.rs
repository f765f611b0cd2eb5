//! One build after the other: keys, cache, counts, critical path, priorities.

use super::*;

#[test]
fn nodes_run_in_order_and_the_second_build_is_cached() {
    let mut bench = Bench::default();
    let nodes = || {
        let mut link = node("link", &[(0, "object"), (1, "object")]);
        link.requested = true;
        vec![node("fmt", &[]), node("main", &[(0, "export")]), link]
    };
    bench.submit(spec(1, BuildOptions::default(), nodes()));
    assert_eq!(bench.lookups.len(), 1, "only fmt has all its inputs");
    bench.miss_all();
    assert_eq!(bench.task("fmt").attempt, 1);
    bench.run("fmt", &[("export", "fx"), ("object", "fa")]);
    let main = bench.task("main");
    assert_eq!(*main.produced, [Digest::of(b"fx")]);
    bench.run("main", &[("export", "mx"), ("object", "ma")]);
    let link = bench.task("link");
    assert_eq!(*link.produced, [Digest::of(b"fa"), Digest::of(b"ma")]);
    bench.done(&link, Outcome::Succeeded(result(&[("binary", "b")])));
    assert_eq!(bench.recorded, [link.key]);
    let summary = bench.summary(1).unwrap();
    assert_eq!(summary.result, BuildResult::Succeeded);
    assert_eq!((summary.counts.total, summary.counts.executed), (3, 3));
    let kinds: Vec<_> = summary
        .kinds
        .iter()
        .map(|(k, c)| (*k, c.executed))
        .collect();
    assert_eq!(kinds, [(v1::Kind::Compile, 2), (v1::Kind::Link, 1)]);

    bench.submit(spec(2, BuildOptions::default(), nodes()));
    for outputs in [
        [("export", "fx"), ("object", "fa")],
        [("export", "mx"), ("object", "ma")],
        [("binary", "b"), ("", "")],
    ] {
        let (key, verify) = bench.lookups.pop().unwrap();
        assert_eq!(verify, outputs[0].0 == "binary", "only what is requested");
        let result = Some(result(&outputs));
        bench.step(Event::CacheAnswer {
            key,
            verify,
            result,
        });
    }
    assert!(bench.tasks.is_empty());
    assert_eq!(bench.summary(2).unwrap().counts.cached, 3);
    assert_eq!(bench.core.ignored(), Ignored::default());
    assert_eq!(bench.core.open_lookups() + bench.core.open_tasks(), 0);
}

#[test]
fn an_unchanged_output_stops_the_change() {
    // The body of fmt changes, its export does not: main has the same key as before.
    let mut bench = Bench::default();
    let mut keys = Vec::new();
    for (id, body) in [(1, "fmt"), (2, "fmt'")] {
        let nodes = vec![node(body, &[]), node("main", &[(0, "export")])];
        bench.submit(spec(id, BuildOptions::default(), nodes));
        bench.miss_all();
        let task = bench.task(body);
        bench.done(
            &task,
            Outcome::Succeeded(result(&[("export", "same"), ("object", body)])),
        );
        let (key, verify) = bench.lookups.pop().unwrap();
        keys.push(key);
        bench.step(Event::CacheAnswer {
            key,
            verify,
            result: Some(result(&[])),
        });
    }
    assert_eq!(keys[0], keys[1]);
}

#[test]
fn an_empty_graph_is_over_at_once() {
    let mut bench = Bench::default();
    bench.submit(spec(1, BuildOptions::default(), Vec::new()));
    assert_eq!(bench.summary(1).unwrap().result, BuildResult::Succeeded);
    assert_eq!(bench.notes.len(), 2);
}

#[test]
fn the_longest_remaining_path_goes_first() {
    let mut bench = Bench::default();
    let timed = |does: &str, inputs: &[(u32, &str)], ms| {
        let mut node = node(does, inputs);
        node.estimate = Some(Estimate {
            duration_ms: ms,
            peak_memory: 1 << 20,
        });
        node
    };
    let nodes = vec![
        timed("long alone", &[], 50),
        timed("short, much behind", &[], 1),
        timed("behind", &[(1, "export")], 60),
    ];
    bench.submit(spec(1, BuildOptions::default(), nodes));
    bench.miss_all();
    let (alone, first) = (bench.task("long alone"), bench.task("short, much behind"));
    assert!(first.priority > alone.priority);
    assert_eq!(alone.memory_estimate, Some(1 << 20));
}

#[test]
fn the_critical_path_is_by_measured_durations() {
    let mut bench = Bench::default();
    let nodes = vec![
        node("a", &[]),
        node("b", &[]),
        node("c", &[(0, "o"), (1, "o")]),
        node("d", &[]),
    ];
    bench.submit(spec(1, BuildOptions::default(), nodes));
    bench.miss_all();
    for (label, wall_ms) in [("a", 10), ("b", 30), ("c", 5), ("d", 20)] {
        let mut made = ActionResult::clone(&result(&[("o", label)]));
        made.usage.wall_ms = wall_ms;
        made.usage.stage_us = 1500;
        made.usage.collect_us = 500;
        let task = bench.task(label);
        bench.now += 100;
        bench.done(&task, Outcome::Succeeded(Arc::new(made)));
        bench.miss_all();
    }
    // The last step was the one of d.
    let summary = bench.summary(1).unwrap();
    assert_eq!(summary.critical_path_ms, 32 + 7);
    assert_eq!(summary.critical_path, [NodeId(1), NodeId(2)]);
    assert_eq!(summary.wall_ms, 400);
}

#[test]
fn an_output_that_was_not_made_fails_its_reader_by_name() {
    let mut bench = Bench::default();
    let nodes = vec![node("fmt", &[]), node("main", &[(0, "export")])];
    bench.submit(spec(1, BuildOptions::default(), nodes));
    bench.miss_all();
    bench.run("fmt", &[("object", "o")]);
    let summary = bench.summary(1).unwrap();
    assert_eq!((summary.counts.executed, summary.counts.failed), (1, 1));
    let [NodeEvent::Failed { failure }] = bench.said(1, 1)[..] else {
        panic!("{:?}", bench.notes);
    };
    assert_eq!(
        failure.to_string(),
        "fmt made no output \"export\", which this action reads"
    );
    assert_eq!(failure.class(), FailureClass::Bug);
}

#[test]
fn strange_events_are_counted_and_change_nothing() {
    let mut bench = Bench::default();
    let one = || spec(1, BuildOptions::default(), vec![node("a", &[])]);
    bench.submit(one());
    bench.submit(one());
    let (key, _) = bench.lookups[0];
    bench.step(Event::Cancel(BuildId(9)));
    bench.step(Event::CacheAnswer {
        key,
        verify: true,
        result: None,
    });
    bench.miss_all();
    let task = bench.task("a");
    bench.start(&task);
    bench.start(&task);
    let mut stale = task.clone();
    stale.run = RunId(77);
    bench.start(&stale);
    bench.step(Event::TaskDone {
        key,
        run: RunId(77),
        worker: None,
        outcome: Outcome::LostLease,
    });
    bench.step(Event::OutputsMissing {
        key,
        digests: [Digest::of(b"x")].into(),
    });
    assert!(bench.notes.is_empty());
    let ignored = bench.core.ignored();
    assert_eq!(
        ignored,
        Ignored {
            submitted_twice: 1,
            unknown_build: 1,
            unknown_lookup: 1,
            stale_run: 2,
            started_twice: 1,
            failed_in_cache: 0,
            unknown_output: 1,
        }
    );
    assert_eq!(ignored.total(), 7);
    bench.run("a", &[]);
    assert!(bench.summary(1).is_some());
}

#[test]
fn a_failed_result_in_the_cache_is_a_miss() {
    let mut bench = Bench::default();
    bench.submit(spec(1, BuildOptions::default(), vec![node("a", &[])]));
    let (key, verify) = bench.lookups[0];
    let failed = ActionResult {
        exit_code: 2,
        ..ActionResult::default()
    };
    bench.step(Event::CacheAnswer {
        key,
        verify,
        result: Some(Arc::new(failed)),
    });
    assert_eq!(bench.task("a").key, key);
    assert_eq!(bench.core.ignored().failed_in_cache, 1);
}

#[test]
fn everything_open_is_said_again_on_request() {
    let mut bench = Bench::default();
    let nodes = vec![node("a", &[]), node("b", &[]), node("c", &[])];
    bench.submit(spec(1, BuildOptions::default(), nodes));
    bench.submit(spec(2, BuildOptions::default(), vec![node("d", &[])]));
    let open = bench.lookups.split_off(2);
    bench.miss_all();
    let (a, b) = (bench.task("a"), bench.task("b"));
    bench.start(&a);
    bench.lookups.clear();
    bench.tasks.clear();
    bench.step(Event::Republish);
    assert_eq!(bench.tasks, [a.clone(), b.clone()]);
    bench.lookups.sort();
    let mut expected = open;
    expected.sort();
    assert_eq!(bench.lookups, expected);
    bench.step(Event::Cancel(BuildId(1)));
    assert_eq!(bench.cancelled, [(a.key, a.run), (b.key, b.run)]);
    bench.step(Event::Republish);
    assert_eq!(bench.cancelled, [(a.key, a.run), (b.key, b.run)]);
}
