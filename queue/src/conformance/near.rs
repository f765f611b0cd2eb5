//! Tasks that are kept for a while for the worker that has most of what they read.

use std::time::{Duration, Instant};

use super::fixture::{Fixture, GIB, LONG, numbers, request, task};
use super::{OPTIONS, Subject};
use crate::LeaseRequest;
use gofarm_engine::core::{BuildId, Near, Share, Task};

fn near(number: u8, worker: &str, patience: Duration) -> Task {
    Task {
        near: Some(Near {
            worker: worker.into(),
            patience,
        }),
        ..task(number)
    }
}

/// Nobody else gets it.
pub async fn near_a_task_is_kept_for_its_worker<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    farm.lease("w1").await;
    farm.enqueue([near(9, "w1", LONG), task(1)]).await;
    assert_eq!(numbers(&farm.lease("w2").await), [1]);
    // Said again, by whomever and however urgent, it is still kept.
    farm.enqueue([near(9, "w1", LONG)]).await;
    farm.enqueue([Task {
        priority: task(20).priority,
        share: Share {
            user: "bob".into(),
            build: BuildId(2),
        },
        ..task(9)
    }])
    .await;
    assert_eq!(numbers(&farm.lease("w2").await), [0u8; 0]);
    assert_eq!(farm.queue.stats().await.unwrap().queued, 1);
    assert_eq!(numbers(&farm.lease("w1").await), [9]);
}

/// It comes before the rest of its share, and no sooner than its share does.
pub async fn near_a_task_goes_first_within_its_shares_turn<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    let bob = |number| Task {
        share: Share {
            user: "bob".into(),
            build: BuildId(2),
        },
        ..task(number)
    };
    farm.lease("w1").await;
    farm.enqueue([task(30), task(20), bob(3), bob(2), bob(1)])
        .await;
    assert_eq!(numbers(&farm.lease_some("w1", 1).await), [30]);
    farm.enqueue([near(10, "w1", LONG)]).await;
    assert_eq!(numbers(&farm.lease("w1").await), [3, 10, 2, 20, 1]);
}

/// In the place that it always had.
pub async fn near_a_task_is_anybodys_when_patience_is_over<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    farm.lease("w1").await;
    let patience = Duration::from_millis(100);
    farm.enqueue([near(5, "w1", patience), task(9), task(1)])
        .await;
    farm.subject.advance(patience).await;
    assert_eq!(numbers(&farm.lease("w2").await), [9, 5, 1]);
}

/// Who was never there, is too small, or has gone, is not waited for.
pub async fn near_a_worker_that_cannot_come_is_not_waited_for<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    farm.enqueue([near(1, "nobody", LONG)]).await;
    assert_eq!(numbers(&farm.lease("w2").await), [1]);
    farm.lease("w1").await;
    let large = Task {
        memory_estimate: Some(9 * GIB),
        ..near(2, "w1", LONG)
    };
    farm.enqueue([large]).await;
    let larger = LeaseRequest {
        free_memory: 16 * GIB,
        total_memory: 16 * GIB,
        ..request("w3")
    };
    assert_eq!(numbers(&farm.queue.lease(larger).await.unwrap()), [2]);
    farm.enqueue([near(3, "w1", LONG)]).await;
    farm.subject.advance(OPTIONS.worker_ttl).await;
    farm.lease("w2").await;
    farm.queue.reap(10).await.unwrap();
    assert_eq!(numbers(&farm.lease("w2").await), [3]);
}

/// Nothing rings for it.
pub async fn near_a_task_whose_time_is_over_is_found_by_who_waits<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    farm.lease("w1").await;
    let patience = Duration::from_millis(150);
    farm.enqueue([near(1, "w1", patience)]).await;
    let queue = farm.queue.clone();
    let begin = Instant::now();
    let waiting = tokio::spawn(async move {
        let wait = LeaseRequest {
            wait: LONG,
            ..request("w2")
        };
        queue.lease(wait).await.unwrap()
    });
    tokio::time::sleep(OPTIONS.poll_interval).await;
    farm.subject.advance(patience).await;
    assert_eq!(numbers(&waiting.await.unwrap()), [1]);
    assert!(begin.elapsed() < LONG / 2, "{:?}", begin.elapsed());
}
