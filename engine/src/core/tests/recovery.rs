//! Blobs that are lost are made again.

use super::*;

/// fmt -> main -> link, all cached, the link to be run: the cache has lost it.
fn cached_but_the_link() -> Bench {
    let mut bench = Bench::with(CoreOptions {
        max_reruns: 2,
        ..CoreOptions::default()
    });
    let nodes = vec![
        node("fmt", &[]),
        node("main", &[(0, "export")]),
        node("link", &[(0, "object"), (1, "object")]),
    ];
    bench.submit(spec(1, BuildOptions::default(), nodes));
    for outputs in [
        [("export", "fx"), ("object", "fa")],
        [("export", "mx"), ("object", "ma")],
    ] {
        let (key, verify) = bench.lookups.pop().unwrap();
        let result = Some(result(&outputs));
        bench.step(Event::CacheAnswer {
            key,
            verify,
            result,
        });
    }
    bench.miss_all();
    bench
}

fn missing(blobs: &[&str]) -> Outcome {
    let digests = blobs.iter().map(|blob| Digest::of(blob.as_bytes()));
    Outcome::BlobsMissing(digests.collect())
}

#[test]
fn the_makers_of_missing_inputs_run_again_without_asking_the_cache() {
    let mut bench = cached_but_the_link();
    let link = bench.task("link");
    bench.start(&link);
    bench.done(&link, missing(&["fa"]));
    assert!(bench.lookups.is_empty());
    assert_eq!(bench.said(1, 0)[0], &NodeEvent::Reopened { lost: true });
    let labels: Vec<_> = bench.tasks.iter().map(|task| &*task.label).collect();
    assert_eq!(labels, ["fmt"]);
    bench.run("fmt", &[("export", "fx"), ("object", "fa")]);
    assert_eq!(bench.task("link").key, link.key);
    bench.run("link", &[("binary", "b")]);
    let counts = bench.summary(1).unwrap().counts;
    assert_eq!((counts.executed, counts.cached), (2, 1));
}

#[test]
fn a_maker_that_misses_its_own_inputs_has_those_made_first() {
    let mut bench = cached_but_the_link();
    let link = bench.task("link");
    bench.done(&link, missing(&["ma"]));
    let main = bench.task("main");
    bench.done(&main, missing(&["fx"]));
    bench.run("fmt", &[("export", "fx"), ("object", "fa")]);
    bench.run("main", &[("export", "mx"), ("object", "ma")]);
    bench.run("link", &[]);
    assert_eq!(bench.summary(1).unwrap().counts.executed, 3);
}

#[test]
fn a_different_blob_changes_the_keys_behind_it() {
    let mut bench = cached_but_the_link();
    let link = bench.task("link");
    bench.done(&link, missing(&["fa"]));
    let fmt = bench.task("fmt");
    bench.done(
        &fmt,
        Outcome::Succeeded(result(&[("export", "fx2"), ("object", "fa")])),
    );
    let [
        NodeEvent::Nondeterministic { outputs, .. },
        NodeEvent::Finished { .. },
    ] = bench.said(1, 0)[..]
    else {
        panic!("{:?}", bench.said(1, 0));
    };
    assert_eq!(&*outputs[0], "export");
    // main was done with the old export.
    assert_eq!(bench.said(1, 1), [&NodeEvent::Reopened { lost: false }]);
    bench.miss_all();
    assert_eq!(*bench.task("main").produced, [Digest::of(b"fx2")]);
    bench.run("main", &[("export", "mx"), ("object", "ma")]);
    // The same object as before, so the link has its old key.
    assert_eq!(bench.task("link").key, link.key);
    bench.run("link", &[]);
}

#[test]
fn running_tasks_over_inputs_that_changed_are_given_up() {
    let mut bench = Bench::default();
    let nodes = vec![
        node("fmt", &[]),
        node("a", &[(0, "o")]),
        node("b", &[(0, "o")]),
    ];
    bench.submit(spec(1, BuildOptions::default(), nodes));
    bench.miss_all();
    bench.run("fmt", &[("o", "x")]);
    let (a, b) = (bench.task("a"), bench.task("b"));
    bench.start(&b);
    bench.done(&a, missing(&["x"]));
    let fmt = bench.task("fmt");
    bench.done(&fmt, Outcome::Succeeded(result(&[("o", "x2")])));
    assert_eq!(bench.cancelled, [(b.key, b.run)]);
    bench.done(&b, Outcome::Cancelled);
    bench.miss_all();
    for label in ["a", "b"] {
        assert_eq!(*bench.task(label).produced, [Digest::of(b"x2")]);
        bench.run(label, &[]);
    }
    assert_eq!(bench.summary(1).unwrap().counts.executed, 3);
}

#[test]
fn a_store_that_loses_a_blob_each_time_ends_the_build() {
    let mut bench = cached_but_the_link();
    for _ in 0..2 {
        let link = bench.task("link");
        bench.start(&link);
        bench.done(&link, missing(&["fa"]));
        bench.run("fmt", &[("export", "fx"), ("object", "fa")]);
    }
    let link = bench.task("link");
    bench.start(&link);
    bench.done(&link, missing(&["fa"]));
    let [NodeEvent::Failed { failure }] = bench.said(1, 2)[..] else {
        panic!("{:?}", bench.notes);
    };
    assert!(
        failure
            .to_string()
            .contains("although fmt was run 2 times more to make it"),
        "{failure}"
    );
    assert!(bench.summary(1).is_some());
}

#[test]
fn many_tasks_that_find_the_same_loss_cost_one_run() {
    let mut bench = Bench::with(CoreOptions {
        max_reruns: 1,
        ..CoreOptions::default()
    });
    let mut nodes = vec![node("fmt", &[])];
    let labels: Vec<String> = (0..5).map(|i| format!("p{i}")).collect();
    nodes.extend(labels.iter().map(|label| node(label, &[(0, "o")])));
    bench.submit(spec(1, BuildOptions::default(), nodes));
    bench.miss_all();
    bench.run("fmt", &[("o", "x")]);
    let tasks: Vec<Task> = labels.iter().map(|label| bench.task(label)).collect();
    for task in &tasks {
        bench.start(task);
    }
    for task in &tasks[..3] {
        bench.done(task, missing(&["x"]));
    }
    bench.run("fmt", &[("o", "x")]);
    // These looked before it was made again.
    for task in &tasks[3..] {
        bench.done(task, missing(&["x"]));
        bench.miss_all();
    }
    for label in &labels {
        bench.run(label, &[]);
    }
    let summary = bench.summary(1).unwrap();
    assert_eq!(summary.result, BuildResult::Succeeded);
}

#[test]
fn a_blob_that_nothing_makes_fails_the_node_by_its_name() {
    let mut bench = cached_but_the_link();
    let link = bench.task("link");
    bench.done(&link, missing(&["a source file"]));
    let [NodeEvent::Failed { failure }] = bench.said(1, 2)[..] else {
        panic!("{:?}", bench.notes);
    };
    let digest = Digest::of(b"a source file");
    assert_eq!(**failure, Failure::MissingBlob { digest });
    assert_eq!(failure.class(), FailureClass::Environment);
}

#[test]
fn an_uploaded_file_that_equals_an_output_is_made_again_as_well() {
    let mut bench = Bench::default();
    let nodes = vec![node("generate", &[]), node("uses a copy", &[])];
    bench.submit(spec(1, BuildOptions::default(), nodes));
    bench.miss_all();
    bench.run("generate", &[("o", "text")]);
    let task = bench.task("uses a copy");
    bench.start(&task);
    bench.done(&task, missing(&["text"]));
    assert!(bench.tasks.iter().all(|task| &*task.label == "generate"));
    bench.run("generate", &[("o", "text")]);
    bench.run("uses a copy", &[]);
    assert!(bench.summary(1).is_some());
}

#[test]
fn a_reader_outside_can_have_outputs_made_again() {
    let mut bench = Bench::default();
    let nodes = vec![node("a", &[]), node("slow", &[])];
    bench.submit(spec(1, BuildOptions::default(), nodes));
    bench.miss_all();
    let key = bench.task("a").key;
    bench.run("a", &[("o", "x")]);
    bench.step(Event::OutputsMissing {
        key,
        digests: [Digest::of(b"x")].into(),
    });
    assert_eq!(bench.said(1, 0)[0], &NodeEvent::Reopened { lost: true });
    bench.run("slow", &[]);
    assert!(bench.summary(1).is_none());
    bench.run("a", &[("o", "x")]);
    assert_eq!(bench.summary(1).unwrap().counts.executed, 2);
}

#[test]
fn a_maker_that_fails_the_second_time_takes_its_readers_with_it() {
    let mut bench = cached_but_the_link();
    let link = bench.task("link");
    bench.done(&link, missing(&["fa"]));
    bench.fail("fmt");
    assert!(matches!(
        bench.said(1, 2)[..],
        [NodeEvent::Skipped { waits_for }] if &**waits_for == "fmt"
    ));
    let counts = bench.summary(1).unwrap().counts;
    assert_eq!((counts.failed, counts.skipped, counts.cached), (1, 1, 1));
}

#[test]
fn an_action_that_came_out_differently_names_both_makers() {
    let made_by = |worker: &str| {
        Some(Arc::new(v1::Provenance {
            worker: worker.to_owned(),
            ..v1::Provenance::default()
        }))
    };
    let by = |worker: &str, content: &str| {
        Arc::new(ActionResult {
            made: made_by(worker),
            ..(*result(&[("export", content)])).clone()
        })
    };
    // The first is from the action cache, or was executed in this build.
    for cached in [true, false] {
        let mut bench = Bench::default();
        let nodes = vec![node("fmt", &[]), node("main", &[(0, "export")])];
        bench.submit(spec(1, BuildOptions::default(), nodes));
        if cached {
            let (key, verify) = bench.lookups.remove(0);
            bench.step(Event::CacheAnswer {
                key,
                verify,
                result: Some(by("w1", "one")),
            });
        } else {
            bench.miss_all();
            let fmt = bench.task("fmt");
            bench.done(&fmt, Outcome::Succeeded(by("w1", "one")));
        }
        bench.miss_all();
        let main = bench.task("main");
        bench.done(&main, missing(&["one"]));
        let fmt = bench.task("fmt");
        bench.done(&fmt, Outcome::Succeeded(by("w2", "two")));
        let said = bench.said(1, 0);
        let makers = said.iter().find_map(|event| match event {
            NodeEvent::Nondeterministic { first, second, .. } => {
                Some((first.clone(), second.clone()))
            }
            _ => None,
        });
        assert_eq!(makers, Some((made_by("w1"), made_by("w2"))), "{said:?}");
    }
}
