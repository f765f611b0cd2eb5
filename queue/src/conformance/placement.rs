//! Rule 14 and the placing of tasks on workers.

use std::time::Duration;

use super::fixture::{Fixture, GIB, numbers, request, success, task};
use super::{OPTIONS, Subject};
use crate::{LeaseRequest, News};
use gofarm_engine::core::{Outcome, Task};

fn needing(number: u8, memory: u64) -> Task {
    Task {
        memory_estimate: Some(memory),
        ..task(number)
    }
}

fn alone(number: u8) -> Task {
    Task {
        exclusive: true,
        ..task(number)
    }
}

async fn reason<S: Subject>(farm: &Fixture<S>, number: u8) -> String {
    match &farm.ends().await[..] {
        [(n, _, Outcome::Unplaceable { reason })] if *n == number => reason.to_string(),
        other => panic!("{other:?}"),
    }
}

/// Fails once the pool has been known for the grace period, and says what is lacking.
pub async fn rule_14_what_fits_nowhere_fails_with_the_reason<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    farm.enqueue([needing(1, 9 * GIB), needing(2, 8 * GIB)])
        .await;
    assert_eq!(numbers(&farm.lease("w1").await), [2]);
    assert_eq!(farm.queue.reap(10).await.unwrap().unplaceable, 0);
    assert_eq!(farm.ends().await, [], "a larger worker may be starting");
    farm.subject.advance(OPTIONS.placement_grace).await;
    farm.lease("w1").await;
    farm.queue.reap(10).await.unwrap();
    let ends = farm.ends().await;
    let told = ends.iter().find(|end| end.0 == 1).map(|end| &end.2);
    let Some(Outcome::Unplaceable { reason }) = told else {
        panic!("{ends:?}");
    };
    for part in ["9216 MiB", "8192 MiB", "w1", "\"default\""] {
        assert!(reason.contains(part), "{reason}");
    }
    // Known by now, so the next one is told at the next look.
    farm.enqueue([needing(3, 9 * GIB)]).await;
    assert_eq!(farm.queue.reap(10).await.unwrap().unplaceable, 1);
}

/// It is passed over, however urgent, and however many there are of its kind.
pub async fn rule_14_what_fits_nowhere_does_not_block_what_fits<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    farm.enqueue((100..=250).map(|number| needing(number, 9 * GIB)))
        .await;
    farm.enqueue([needing(1, GIB)]).await;
    assert_eq!(numbers(&farm.lease("w1").await), [1]);
}

/// Nobody has come for them within the grace period.
pub async fn rule_14_a_pool_without_workers_fails_its_tasks<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    farm.enqueue([task(1)]).await;
    farm.queue.reap(10).await.unwrap();
    assert_eq!(farm.ends().await, []);
    let grace = OPTIONS.placement_grace + Duration::from_millis(50);
    farm.subject.advance(grace).await;
    farm.queue.reap(10).await.unwrap();
    let reason = reason(&farm, 1).await;
    assert!(reason.starts_with("no worker of pool"), "{reason}");
    assert_eq!(farm.lease("late").await.len(), 0);
}

/// Other parts of the pool have had workers for the grace period, and this one never had: none is to be expected. One that had
/// a worker has all the time for it to come back.
pub async fn rule_14_a_part_of_a_known_pool_that_nobody_serves_fails_sooner<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    let of = |number: u8, part: &str| Task {
        pool: format!("default:{part}").into(),
        ..task(number)
    };
    let asks = |worker: &str, part: &str| LeaseRequest {
        pools: [format!("default:{part}").into()].into(),
        ..request(worker)
    };
    farm.queue.lease(asks("gone", "os/was")).await.unwrap();
    farm.subject.advance(OPTIONS.worker_ttl).await;
    farm.queue.lease(asks("w1", "os/is")).await.unwrap();
    farm.queue.reap(10).await.unwrap();
    farm.subject.advance(OPTIONS.placement_grace).await;
    farm.queue.lease(asks("w1", "os/is")).await.unwrap();
    farm.enqueue([of(1, "os/never"), of(2, "os/was")]).await;
    farm.queue.reap(10).await.unwrap();
    assert_eq!(farm.ends().await, []);
    let sooner = OPTIONS.placement_grace / 5 + Duration::from_millis(50);
    farm.subject.advance(sooner).await;
    farm.queue.reap(10).await.unwrap();
    let reason = reason(&farm, 1).await;
    assert!(reason.contains("os/never"), "{reason}");
    // Another pool says nothing of this one.
    let other = Task {
        pool: "other:os/never".into(),
        ..task(3)
    };
    farm.enqueue([other]).await;
    farm.subject.advance(sooner).await;
    farm.queue.lease(asks("w1", "os/is")).await.unwrap();
    farm.queue.reap(10).await.unwrap();
    let ends = farm.ends().await;
    assert!(ends.iter().all(|end| end.0 != 3), "{ends:?}");
}

/// A task with no recorded peak is taken by an idle worker of any size.
pub async fn rule_14_a_guessed_need_fails_nothing<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    let unknown = Task {
        memory_estimate: None,
        ..task(1)
    };
    farm.enqueue([unknown]).await;
    let tiny = || LeaseRequest {
        free_memory: OPTIONS.assumed_memory / 2,
        total_memory: OPTIONS.assumed_memory / 2,
        ..request("tiny")
    };
    let busy = LeaseRequest {
        running: 1,
        ..tiny()
    };
    assert_eq!(farm.queue.lease(busy).await.unwrap().len(), 0);
    farm.subject.advance(OPTIONS.placement_grace).await;
    assert_eq!(farm.queue.reap(10).await.unwrap().unplaceable, 0);
    assert_eq!(farm.queue.lease(tiny()).await.unwrap().len(), 1);
}

/// The greatest priority first, the oldest among equals; a priority that is raised counts.
pub async fn placement_goes_by_priority_and_age<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    let like = |number: u8, priority: u8| Task {
        priority: task(priority).priority,
        ..task(number)
    };
    farm.enqueue([like(1, 5), like(2, 9), like(3, 5), like(4, 1)])
        .await;
    farm.enqueue([like(4, 7)]).await;
    farm.enqueue([like(2, 2)]).await;
    assert_eq!(numbers(&farm.lease("w1").await), [2, 4, 1, 3]);
}

/// Tasks of one request share its free memory; those that do not fit beside the others are left for later.
pub async fn placement_stays_within_the_memory_of_a_worker<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    farm.enqueue([
        needing(9, 5 * GIB),
        needing(8, 4 * GIB),
        needing(7, 2 * GIB),
        needing(6, 2 * GIB),
        needing(5, GIB),
    ])
    .await;
    assert_eq!(numbers(&farm.lease("w1").await), [9, 7, 5]);
    let free = LeaseRequest {
        running: 3,
        free_memory: 0,
        ..request("w1")
    };
    assert_eq!(farm.queue.lease(free).await.unwrap().len(), 0);
    assert_eq!(numbers(&farm.lease("w2").await), [8, 6]);
}

/// On a worker that runs nothing, which gets nothing else until it is done.
pub async fn placement_of_an_exclusive_task_is_alone<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    farm.enqueue([alone(1), task(2)]).await;
    let busy = LeaseRequest {
        running: 1,
        ..request("busy")
    };
    let leases = farm.queue.lease(busy).await.unwrap();
    assert_eq!(numbers(&leases), [2]);
    // By the queue's own count it is busy, whatever it says.
    assert_eq!(farm.lease("busy").await.len(), 0);
    let lease = farm.lease_one("idle").await;
    assert_eq!(lease.task.key.0[0], 1);
    farm.enqueue([task(3)]).await;
    assert_eq!(farm.lease("idle").await.len(), 0);
    farm.queue.complete(&lease.id, success(None)).await.unwrap();
    assert_eq!(numbers(&farm.lease("idle").await), [3]);
}

/// When no worker is ever idle by itself, one is kept free.
pub async fn placement_of_an_exclusive_task_is_not_put_off_for_ever<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    farm.enqueue([task(1)]).await;
    let running = farm.lease_one("w1").await.id;
    farm.enqueue([alone(2), task(3)]).await;
    let busy = || LeaseRequest {
        running: 1,
        max: 1,
        ..request("w1")
    };
    let patience = OPTIONS.exclusive_patience + Duration::from_millis(20);
    farm.subject.advance(patience).await;
    assert_eq!(farm.queue.lease(busy()).await.unwrap().len(), 0);
    // Only the one: the others go on.
    let other = LeaseRequest {
        running: 1,
        ..request("w2")
    };
    assert_eq!(numbers(&farm.queue.lease(other).await.unwrap()), [3]);
    farm.queue.complete(&running, success(None)).await.unwrap();
    assert_eq!(numbers(&farm.lease("w1").await), [2]);
}

/// A worker is given tasks of its own pool only.
pub async fn placement_keeps_pools_apart<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    let elsewhere = Task {
        pool: "linux-arm64".into(),
        ..task(1)
    };
    farm.enqueue([elsewhere]).await;
    assert_eq!(farm.lease("w1").await.len(), 0);
    let other = LeaseRequest {
        pools: ["linux-arm64".into()].into(),
        ..request("w2")
    };
    assert_eq!(numbers(&farm.queue.lease(other).await.unwrap()), [1]);
    let started = farm.news().await;
    assert!(matches!(&started[..], [News::Started { worker, .. }] if **worker == *"w2"));
}

/// As far as there is room; memory and slots are shared.
pub async fn placement_looks_at_pools_in_order<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    let of = |pool: &str, number: u8| Task {
        pool: pool.into(),
        ..needing(number, 2 * GIB)
    };
    farm.enqueue([
        of("default:linux/amd64", 3),
        of("default:linux/amd64/gcc", 9),
        of("default:linux/amd64/gcc", 8),
        of("default:linux/amd64", 2),
        of("big", 7),
        of("default:linux/arm64", 10),
    ])
    .await;
    let all = |max| LeaseRequest {
        pools: [
            "default:linux/amd64".into(),
            "default:linux/amd64/gcc".into(),
            "big".into(),
        ]
        .into(),
        max,
        free_memory: 8 * GIB,
        ..request("w1")
    };
    let leases = farm.queue.lease(all(3)).await.unwrap();
    assert_eq!(numbers(&leases), [3, 2, 9]);
    let rest = LeaseRequest {
        running: 3,
        free_memory: 2 * GIB,
        ..all(8)
    };
    assert_eq!(numbers(&farm.queue.lease(rest).await.unwrap()), [8]);
    assert_eq!(numbers(&farm.queue.lease(all(8)).await.unwrap()), [7]);
    for lease in leases {
        farm.queue.complete(&lease.id, success(None)).await.unwrap();
    }
    assert_eq!(farm.queue.stats().await.unwrap().queued, 1);
}

/// A task that is to run alone is alone whatever pool the others are of.
pub async fn placement_shares_a_worker_between_pools<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    let gcc = |task: Task| Task {
        pool: "default:gcc".into(),
        ..task
    };
    let both = |running| LeaseRequest {
        pools: ["default:go".into(), "default:gcc".into()].into(),
        running,
        ..request("w1")
    };
    let go = |number| Task {
        pool: "default:go".into(),
        ..task(number)
    };
    farm.enqueue([go(1)]).await;
    let first = farm.queue.lease(both(0)).await.unwrap();
    assert_eq!(numbers(&first), [1]);
    farm.enqueue([gcc(alone(2))]).await;
    assert_eq!(farm.queue.lease(both(0)).await.unwrap().len(), 0);
    farm.queue
        .complete(&first[0].id, success(None))
        .await
        .unwrap();
    let second = farm.queue.lease(both(0)).await.unwrap();
    assert_eq!(numbers(&second), [2]);
    farm.enqueue([go(3)]).await;
    assert_eq!(farm.queue.lease(both(1)).await.unwrap().len(), 0);
    farm.queue
        .complete(&second[0].id, success(None))
        .await
        .unwrap();
    assert_eq!(numbers(&farm.queue.lease(both(0)).await.unwrap()), [3]);
}
