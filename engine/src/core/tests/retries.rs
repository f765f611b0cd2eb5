//! Attempts: which count, and how they end.

use super::*;

fn started() -> Bench {
    let mut bench = Bench::default();
    bench.submit(spec(1, BuildOptions::default(), vec![node("a", &[])]));
    bench.miss_all();
    bench
}

fn failure(bench: &Bench) -> String {
    match bench.said(1, 0)[..] {
        [NodeEvent::Failed { failure }] => failure.to_string(),
        ref other => panic!("{other:?}"),
    }
}

fn end(bench: &mut Bench, outcome: Outcome) {
    let task = bench.task("a");
    bench.done(&task, outcome);
}

#[test]
fn crashes_and_lost_leases_count_and_are_told() {
    let mut bench = started();
    end(&mut bench, Outcome::LostLease);
    assert_eq!(bench.task("a").attempt, 2);
    assert_eq!(bench.said(1, 0), [&NodeEvent::Queued]);
    let reason = "launcher died".into();
    end(&mut bench, Outcome::Crashed { reason });
    end(&mut bench, Outcome::LostLease);
    assert_eq!(
        failure(&bench),
        "gave up after 3 attempts: w1 (2 times): lease lost, w1: launcher died"
    );
    assert!(bench.tasks.is_empty());
    assert!(bench.summary(1).is_some());
}

#[test]
fn a_drained_worker_does_not_count() {
    let mut bench = started();
    for _ in 0..10 {
        end(&mut bench, Outcome::Released);
        // A cancel that nobody here asked for is no more the task's fault.
        end(&mut bench, Outcome::Cancelled);
    }
    assert_eq!(bench.task("a").attempt, 1);
    end(&mut bench, Outcome::Succeeded(result(&[])));
    assert_eq!(bench.summary(1).unwrap().result, BuildResult::Succeeded);
}

fn out_of_memory(alone: bool) -> Outcome {
    Outcome::OutOfMemory {
        alone,
        reason: "compile was killed at 9 MiB".into(),
    }
}

#[test]
fn out_of_memory_is_tried_once_more_alone() {
    let mut bench = started();
    assert!(!bench.task("a").exclusive);
    end(&mut bench, out_of_memory(false));
    assert!(bench.task("a").exclusive);
    end(&mut bench, Outcome::LostLease);
    assert!(
        bench.task("a").exclusive,
        "a lost lease says nothing about memory"
    );
    end(&mut bench, out_of_memory(true));
    assert_eq!(
        failure(&bench),
        "out of memory: compile was killed at 9 MiB, although worker w1 ran nothing else; give the worker more memory, or let less run on its machine"
    );
    assert!(bench.tasks.is_empty());
}

#[test]
fn only_who_ran_it_knows_whether_it_was_alone() {
    let mut bench = started();
    end(&mut bench, out_of_memory(false));
    // The queue was told of the first run again just as that ended, and has given it once more: the exclusive run is
    // joined to one that is not. Or another scheduler has put the key into the queue, which knows nothing of this.
    end(&mut bench, out_of_memory(false));
    assert!(bench.task("a").exclusive);
    end(&mut bench, Outcome::Succeeded(result(&[])));
    assert_eq!(bench.summary(1).unwrap().result, BuildResult::Succeeded);
}

#[test]
fn out_of_memory_in_the_first_run_that_is_alone_is_the_end_of_it() {
    let mut bench = started();
    // Another scheduler wants it alone, and this one has joined that run.
    end(&mut bench, out_of_memory(true));
    assert!(failure(&bench).starts_with("out of memory: "));
}

#[test]
fn wanting_it_alone_in_vain_has_an_end() {
    let mut bench = started();
    for _ in 0..3 {
        assert!(bench.tasks.iter().any(|task| &*task.label == "a"));
        end(&mut bench, out_of_memory(false));
    }
    end(&mut bench, out_of_memory(false));
    assert!(failure(&bench).starts_with("gave up after 4 attempts: "));
}

#[test]
fn a_failed_action_is_not_tried_again() {
    let mut bench = started();
    bench.fail("a");
    assert_eq!(failure(&bench), "exit status 1");
    assert!(bench.tasks.is_empty());
    assert!(bench.recorded.is_empty(), "failures are not cached");
}

#[test]
fn a_success_with_an_exit_code_is_a_failure() {
    let mut bench = started();
    let failed = ActionResult {
        exit_code: 3,
        ..ActionResult::default()
    };
    end(&mut bench, Outcome::Succeeded(Arc::new(failed)));
    assert_eq!(failure(&bench), "exit status 3");
    assert!(bench.recorded.is_empty());
}

#[test]
fn what_no_worker_can_take_fails_with_the_reason() {
    let mut bench = started();
    let reason = "it took 9000 MiB before".into();
    end(&mut bench, Outcome::Unplaceable { reason });
    assert_eq!(
        failure(&bench),
        "no worker can run this: it took 9000 MiB before"
    );
}

#[test]
fn old_news_about_an_earlier_attempt_does_not_count_again() {
    let mut bench = started();
    let first = bench.task("a");
    bench.done(&first, Outcome::LostLease);
    for _ in 0..5 {
        bench.done(&first, Outcome::LostLease);
    }
    assert_eq!(bench.task("a").attempt, 2);
    assert_eq!(bench.core.ignored().stale_run, 5);
}
