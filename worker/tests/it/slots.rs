//! The worker's loop against a queue that the test holds in its hands.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use gofarm_worker::{ExecuteError, Renewal, SandboxMode, Task, WorkerLoop, WorkerOptions};
use tokio_util::sync::CancellationToken;

use crate::farm::{Farm, assert_gone, host_action, sh};
use crate::queue::{End, Queue};

const TTL: Duration = Duration::from_secs(60);
const FOREVER: &str = "sleep 1000 & echo child $!; wait";

fn task(farm: &Farm, script: &str, exclusive: bool) -> Task {
    Task {
        exclusive,
        ..farm.task(&host_action(vec![sh(script)]), &[])
    }
}

fn worker(farm: &Farm, queue: &Arc<Queue>, slots: usize) -> WorkerLoop<Queue> {
    let options = WorkerOptions { slots, memory: 100 };
    WorkerLoop::new(farm.executor.clone(), queue.clone(), options)
}

/// Each script notes how many run, itself included, in a folder that all share; the largest number is what was at once.
async fn at_once(memory: u64, exclusive: bool) -> usize {
    let farm = Farm::new(SandboxMode::Off);
    let queue = Arc::new(Queue::default());
    let shared = tempfile::tempdir().unwrap();
    for counter in 0..8 {
        let folder = shared.path().display();
        let script = format!(
            "touch {folder}/{counter}; ls {folder} | wc -l; sleep 0.1; rm {folder}/{counter}"
        );
        queue.put(counter, task(&farm, &script, exclusive), memory, TTL);
    }
    queue.close();
    worker(&farm, &queue, 4)
        .run(&CancellationToken::new())
        .await;
    let ends = queue.ends.lock().unwrap();
    assert_eq!(ends.len(), 8);
    assert!(
        ends.iter()
            .all(|(_, end)| matches!(end, End::Completed(execution) if execution.succeeded()))
    );
    let logs = queue.logs.lock().unwrap();
    logs.values()
        .map(|text| text.trim().parse().unwrap())
        .max()
        .unwrap()
}

#[tokio::test]
async fn as_many_at_once_as_there_are_slots() {
    assert_eq!(at_once(1, false).await, 4);
}

#[tokio::test]
async fn as_many_at_once_as_memory_allows() {
    assert_eq!(at_once(40, false).await, 2);
}

#[tokio::test]
async fn a_task_larger_than_the_worker_runs_alone() {
    assert_eq!(at_once(1000, false).await, 1);
}

#[tokio::test]
async fn an_exclusive_task_runs_alone() {
    assert_eq!(at_once(1, true).await, 1);
}

#[tokio::test]
async fn a_panic_over_an_action_fails_this_attempt_and_harms_no_other() {
    let farm = Farm::new(SandboxMode::Off);
    let queue = Arc::new(Queue::default());
    *queue.panics_over.lock().unwrap() = Some(1);
    queue.put(1, task(&farm, FOREVER, false), 1, TTL);
    queue.put(2, task(&farm, "echo well", false), 1, TTL);
    queue.close();
    worker(&farm, &queue, 2)
        .run(&CancellationToken::new())
        .await;
    let ends = std::mem::take(&mut *queue.ends.lock().unwrap());
    assert_eq!(ends.len(), 2, "{ends:?}");
    let panicked = |why: &str| why.contains("no more of this");
    for (counter, end) in &ends {
        match (counter, end) {
            (1, End::Failed(ExecuteError::Panicked(why))) if panicked(why) => {}
            (2, End::Completed(execution)) if execution.succeeded() => {}
            other => panic!("{other:?}"),
        }
    }
    let child = queue.line(1, "child ").await;
    assert_gone(&[child.trim()]).await;
}

#[tokio::test]
async fn a_task_taken_ahead_is_fetched_and_begins_as_soon_as_a_slot_is_free() {
    let farm = Farm::new(SandboxMode::Off);
    let queue = Arc::new(Queue::default());
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate").display().to_string();
    let waits = format!("until [ -e {gate} ]; do sleep 0.01; done");
    queue.put(1, task(&farm, &waits, false), 1, TTL);
    queue.put(2, task(&farm, "true", false), 1, TTL);
    queue.put(3, task(&farm, "true", false), 1, TTL);
    queue.close();
    let worker = worker(&farm, &queue, 1).taking_ahead(1);
    let opens = async {
        while !queue.fetched.lock().unwrap().contains(&2) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // The second is here, the third is not.
        assert_eq!(queue.ready.lock().unwrap().len(), 1);
        // Unless the machine stood still for half a second meanwhile.
        let back = |end: &(u64, End)| matches!(end, (2, End::Released));
        assert!(queue.ends.lock().unwrap().iter().all(back));
        std::fs::write(&gate, "").unwrap();
    };
    let never = CancellationToken::new();
    tokio::join!(worker.run(&never), opens);
    let ends = queue.ends.lock().unwrap();
    let ended = |counter| {
        let end = |end: &End| matches!(end, End::Completed(execution) if execution.succeeded());
        ends.iter().any(|(of, how)| *of == counter && end(how))
    };
    assert!(ended(1) && ended(3), "{ends:?}");
    // On a machine that stood still for half a second meanwhile it went back instead.
    assert!(
        ended(2) || matches!(ends[0], (2, End::Released)),
        "{ends:?}"
    );
}

#[tokio::test]
async fn a_task_taken_ahead_that_finds_no_slot_goes_back_once() {
    let farm = Farm::new(SandboxMode::Off);
    let queue = Arc::new(Queue::default());
    queue.put(1, task(&farm, FOREVER, false), 1, TTL);
    queue.put(2, task(&farm, "true", false), 1, TTL);
    let worker = worker(&farm, &queue, 1).taking_ahead(1);
    let drain = CancellationToken::new();
    let give_back = CancellationToken::new();
    let watch = async {
        while !queue.has_ended(2) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let first = matches!(queue.ends.lock().unwrap()[0], (2, End::Released));
        assert!(first, "it was not given back");
        // Another is not asked for before there is a slot.
        queue.put(3, task(&farm, "true", false), 1, TTL);
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(queue.ready.lock().unwrap().len(), 1);
        drain.cancel();
        give_back.cancel();
    };
    tokio::join!(worker.run_until(&drain, &give_back), watch);
    assert!(!queue.has_ended(3));
}

#[tokio::test]
async fn failures_are_reported_with_their_reason() {
    let farm = Farm::new(SandboxMode::Off);
    let queue = Arc::new(Queue::default());
    queue.put(1, task(&farm, "echo no; exit 4", false), 1, TTL);
    let lost = gofarm_proto::Digest::of(b"lost");
    queue.put(
        2,
        Task {
            definition: lost,
            ..task(&farm, "", false)
        },
        1,
        TTL,
    );
    queue.close();
    worker(&farm, &queue, 2)
        .run(&CancellationToken::new())
        .await;
    for (counter, end) in queue.ends.lock().unwrap().iter() {
        match (counter, end) {
            (1, End::Completed(execution)) => assert_eq!(execution.result.exit_code, 4),
            (2, End::Failed(ExecuteError::MissingInputs(missing))) => assert_eq!(missing, &[lost]),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_lease_is_renewed_while_its_task_runs_or_waits() {
    let farm = Farm::new(SandboxMode::Off);
    let queue = Arc::new(Queue::default());
    let ttl = Duration::from_millis(300);
    queue.put(1, task(&farm, "sleep 1", true), 1, ttl);
    queue.put(2, task(&farm, "true", true), 1, ttl);
    queue.close();
    worker(&farm, &queue, 2)
        .run(&CancellationToken::new())
        .await;
    assert_eq!(queue.ends.lock().unwrap().len(), 2);
    let renewed = queue.renewed.lock().unwrap();
    for counter in [1, 2] {
        let times = renewed.iter().filter(|&&other| other == counter).count();
        assert!(
            times >= 3,
            "{counter} was renewed {times} times in a second"
        );
    }
}

#[tokio::test]
async fn a_lease_that_is_no_longer_ours_ends_its_processes_and_is_not_reported() {
    let farm = Farm::new(SandboxMode::Off);
    for answer in [
        Some(Renewal::Lost),
        Some(Renewal::Stolen),
        Some(Renewal::Cancelled),
        None,
    ] {
        let queue = Arc::new(Queue::default());
        queue.put(
            1,
            task(&farm, FOREVER, false),
            1,
            Duration::from_millis(300),
        );
        let worker = worker(&farm, &queue, 1);
        let drain = CancellationToken::new();
        let ((), pid) = tokio::join!(worker.run(&drain), async {
            let pid = queue.line(1, "child ").await;
            match answer {
                Some(answer) => drop(queue.answers.lock().unwrap().insert(1, answer)),
                None => queue.unreachable.store(true, Ordering::SeqCst),
            }
            queue.close();
            pid
        });
        assert_gone(&[&pid]).await;
        let ends = queue.ends.lock().unwrap();
        match answer {
            // The lease still holds, and has to be ended.
            Some(Renewal::Cancelled) => assert!(
                matches!(ends[..], [(1, End::Failed(ExecuteError::Cancelled))]),
                "{ends:?}"
            ),
            _ => assert!(ends.is_empty(), "{answer:?}"),
        }
        drop(ends);
        farm.assert_clean();
    }
}

#[tokio::test]
async fn a_drained_worker_ends_what_runs_and_gives_back_what_waits() {
    let farm = Farm::new(SandboxMode::Off);
    let queue = Arc::new(Queue::default());
    queue.put(1, task(&farm, "echo begun; sleep 0.3", false), 90, TTL);
    queue.put(2, task(&farm, "echo begun", false), 90, TTL);
    let worker = worker(&farm, &queue, 2);
    let drain = CancellationToken::new();
    tokio::join!(worker.run(&drain), async {
        queue.line(1, "begun").await;
        assert!(!queue.has_ended(1));
        drain.cancel();
    });
    let ends = queue.ends.lock().unwrap();
    assert!(
        ends.iter().any(|end| matches!(end, (1, End::Completed(_)))),
        "{ends:?}"
    );
    assert!(
        ends.iter().any(|end| matches!(end, (2, End::Released))),
        "{ends:?}"
    );
}

#[tokio::test]
async fn a_worker_that_cannot_wait_any_longer_gives_back_what_runs() {
    let farm = Farm::new(SandboxMode::Off);
    let queue = Arc::new(Queue::default());
    queue.put(1, task(&farm, FOREVER, false), 1, TTL);
    let worker = worker(&farm, &queue, 2);
    let (drain, give_back) = (CancellationToken::new(), CancellationToken::new());
    let ((), pid) = tokio::join!(worker.run_until(&drain, &give_back), async {
        let pid = queue.line(1, "child ").await;
        drain.cancel();
        give_back.cancel();
        pid
    });
    assert_gone(&[&pid]).await;
    let ends = queue.ends.lock().unwrap();
    assert!(matches!(ends[..], [(1, End::Released)]), "{ends:?}");
}

#[tokio::test]
async fn a_worker_that_is_dropped_ends_everything() {
    let farm = Farm::new(SandboxMode::Off);
    let queue = Arc::new(Queue::default());
    queue.put(1, task(&farm, FOREVER, false), 1, TTL);
    let worker = worker(&farm, &queue, 1);
    let drain = CancellationToken::new();
    let pid = tokio::select! {
        () = worker.run(&drain) => panic!("it must not end"),
        pid = queue.line(1, "child ") => pid,
    };
    assert_gone(&[&pid]).await;
}
