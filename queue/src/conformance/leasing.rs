//! Rules 1, 6 to 8 and 12: how tasks get to workers and what becomes of their leases.

use std::time::{Duration, Instant};

use super::fixture::{Fixture, LONG, numbers, owner, request, success, task};
use super::{OPTIONS, Subject};
use crate::{LeaseRequest, News, Renewal};
use gofarm_engine::core::{Outcome, RunId};

/// A task whose worker dies right after it took it is not lost.
pub async fn rule_01_there_is_no_gap_between_pop_and_lease<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    farm.enqueue((1..=20).map(task)).await;
    for round in 0..3 {
        farm.lease(&format!("dead {round}")).await;
        let stats = farm.queue.stats().await.unwrap();
        assert_eq!(stats.queued + stats.leased, 20);
    }
    assert_eq!(farm.queue.stats().await.unwrap().leased, 20);
    farm.expire().await;
    assert_eq!(farm.queue.reap(100).await.unwrap().leases, 20);
    let mut ends = farm.ends().await;
    ends.sort_by_key(|end| end.0);
    let lost: Vec<_> = (1..=20)
        .map(|n| (n, RunId(n.into()), Outcome::LostLease))
        .collect();
    assert_eq!(ends, lost);
}

/// A lease holds for its time from the last renewal on, by the queue's clock.
pub async fn rule_06_deadlines_are_by_one_clock_and_renewed<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    farm.enqueue([task(1)]).await;
    let lease = farm.lease_one("w1").await;
    assert_eq!(lease.ttl, OPTIONS.lease_ttl);
    let mut last = lease.deadline;
    for _ in 0..4 {
        let part = OPTIONS.lease_ttl / 2;
        farm.subject.advance(part).await;
        assert_eq!(farm.queue.reap(10).await.unwrap().leases, 0);
        let renewals = farm.queue.renew(&[lease.id]).await.unwrap();
        let [Renewal::Held { deadline, .. }] = renewals[..] else {
            panic!("{renewals:?}");
        };
        assert!(u128::from(deadline.since(last)) >= part.as_millis());
        last = deadline;
    }
    let completed = farm.queue.complete(&lease.id, success(None)).await;
    completed.unwrap();
}

/// However many leases run out at once.
pub async fn rule_07_reaping_is_bounded<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    farm.enqueue((1..=25).map(task)).await;
    let many = LeaseRequest {
        max: 25,
        ..request("w1")
    };
    assert_eq!(farm.queue.lease(many).await.unwrap().len(), 25);
    farm.expire().await;
    let mut reaped = Vec::new();
    for _ in 0..4 {
        reaped.push(farm.queue.reap(10).await.unwrap().leases);
    }
    assert_eq!(reaped, [10, 10, 5, 0]);
    assert_eq!(farm.ends().await.len(), 25);
}

/// So that a dead worker's task need not wait for a round.
pub async fn rule_07_reaping_tells_when_the_next_lease_runs_out<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    farm.enqueue([task(1)]).await;
    assert_eq!(farm.queue.reap(10).await.unwrap().next, None);
    let first = farm.lease_one("w1").await;
    let next = farm.queue.reap(10).await.unwrap().next.unwrap();
    assert!(!next.is_zero() && next <= first.ttl, "{next:?}");
    farm.expire().await;
    farm.enqueue([task(2)]).await;
    let second = farm.lease_one("w2").await;
    let reaped = farm.queue.reap(10).await.unwrap();
    assert_eq!(reaped.leases, 1);
    let next = reaped.next.unwrap();
    assert!(!next.is_zero() && next <= second.ttl, "{next:?}");
}

/// Two workers are woken for one task: one gets it.
pub async fn rule_08_a_doorbell_wakes_and_carries_no_task<S: Subject>() {
    let farm = Fixture::<S>::start_without_poll().await;
    let wait = |worker: &'static str, wait| {
        let queue = farm.queue.clone();
        tokio::spawn(async move {
            let request = LeaseRequest {
                wait,
                ..request(worker)
            };
            queue.lease(request).await.unwrap().len()
        })
    };
    let waiting = [
        wait("w1", Duration::from_secs(2)),
        wait("w2", Duration::from_secs(2)),
    ];
    tokio::time::sleep(OPTIONS.poll_interval / 2).await;
    farm.enqueue([task(1)]).await;
    let mut got = 0;
    for worker in waiting {
        got += worker.await.unwrap();
    }
    assert_eq!(got, 1);
    let begin = Instant::now();
    let waiting = wait("w3", LONG);
    // The worker is waiting by now, so that only the bell can tell it.
    tokio::time::sleep(OPTIONS.poll_interval).await;
    farm.enqueue([task(2)]).await;
    assert_eq!(waiting.await.unwrap(), 1);
    // The same for an owner, who is told of the lease.
    farm.news().await;
    farm.enqueue([task(3)]).await;
    let queue = farm.queue.clone();
    let told = tokio::spawn(async move { queue.news(&owner(), 1, LONG).await.unwrap() });
    tokio::time::sleep(OPTIONS.poll_interval).await;
    farm.lease_one("w4").await;
    assert!(matches!(told.await.unwrap()[..], [News::Started { .. }]));
    assert!(begin.elapsed() < LONG / 2, "the doorbell was not heard");
}

/// With nothing to do, a wait lasts as long as it was said to, and no longer.
pub async fn rule_08_an_idle_wait_ends_by_itself<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    let wait = OPTIONS.poll_interval * 3;
    let begin = Instant::now();
    let leases = farm.queue.lease(LeaseRequest {
        wait,
        ..request("w1")
    });
    assert!(leases.await.unwrap().is_empty());
    assert!(farm.queue.news(&owner(), 1, wait).await.unwrap().is_empty());
    assert!(begin.elapsed() >= wait * 2);
}

/// Whether it happened before, while or after the reader looked.
pub async fn rule_12_nothing_is_missed_between_subscribing_and_reading<S: Subject>() {
    let farm = Fixture::<S>::start_without_poll().await;
    let begin = Instant::now();
    let queue = farm.queue.clone();
    let worker = tokio::spawn(async move {
        for expected in 1..=100 {
            let request = LeaseRequest {
                wait: LONG,
                ..request("w1")
            };
            let leases = queue.lease(request).await.unwrap();
            assert_eq!(numbers(&leases), [expected]);
            let done = queue.complete(&leases[0].id, success(None)).await;
            done.unwrap();
        }
    });
    for number in 1..=100 {
        farm.enqueue([task(number)]).await;
        let mut done = false;
        while !done {
            let news = farm.queue.news(&owner(), 1, LONG).await.unwrap();
            assert_eq!(news.len(), 1, "nothing came");
            done = matches!(&news[0], News::Done { key, .. } if key.0[0] == number);
        }
    }
    worker.await.unwrap();
    assert!(begin.elapsed() < LONG / 2, "a wake-up was missed");
}

/// The backstop of every notification is to say it all again, so that must be harmless.
pub async fn rule_12_saying_everything_again_changes_nothing<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    farm.enqueue((1..=3).map(task)).await;
    let one = LeaseRequest {
        max: 1,
        ..request("w1")
    };
    let lease = farm.queue.lease(one).await.unwrap().remove(0);
    for _ in 0..3 {
        farm.enqueue((1..=3).map(task)).await;
    }
    let stats = farm.queue.stats().await.unwrap();
    assert_eq!((stats.queued, stats.leased), (2, 1));
    assert!(matches!(
        farm.queue.renew(&[lease.id]).await.unwrap()[..],
        [Renewal::Held {
            cancelled: false,
            ..
        }]
    ));
    farm.queue.complete(&lease.id, success(None)).await.unwrap();
    assert_eq!(numbers(&farm.lease("w2").await), [2, 1]);
}
