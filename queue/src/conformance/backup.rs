//! Second runs of tasks that take too long.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gofarm_proto::Digest;

use super::fixture::{Fixture, GIB, LONG, ends, numbers, owner, request, success, task};
use super::output::{output, printed};
use super::{OPTIONS, Subject};
use crate::{Lease, LeaseId, LeaseRequest, News, Owner, QueueError, Renewal};
use gofarm_engine::core::{ActionResult, Outcome, RunId, Task};

async fn back_up<S: Subject>(farm: &Fixture<S>, number: u8) {
    let slow = [(task(number).key, task(number).run)];
    farm.queue.back_up(&owner(), &slow).await.unwrap();
}

/// The first task, leased by `w1` and, a second time, by `w2`. The news until then are read.
async fn twice<S: Subject>(farm: &Fixture<S>) -> (LeaseId, LeaseId) {
    farm.enqueue([task(1)]).await;
    let first = farm.lease_one("w1").await.id;
    back_up(farm, 1).await;
    let second = farm.lease_one("w2").await.id;
    let news = farm.news().await;
    assert!(
        matches!(&news[..], [News::Started { worker, .. }] if **worker == *"w1"),
        "{news:?}"
    );
    (first, second)
}

async fn is_lost<S: Subject>(farm: &Fixture<S>, lease: LeaseId, expected: Renewal) {
    assert_eq!(farm.queue.renew(&[lease]).await.unwrap(), [expected]);
    let outputs = [printed(lease, 0, b"late")];
    let answers = farm.queue.append_log(&outputs).await.unwrap();
    assert_eq!(answers, [expected]);
    for outcome in [success(None), Outcome::Released] {
        match farm.queue.complete(&lease, outcome).await {
            Err(QueueError::Lost) if expected == Renewal::Lost => {}
            Err(QueueError::Stolen) if expected == Renewal::Stolen => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Never to the one that has it, and never to a third.
pub async fn backup_goes_to_another_worker_and_once<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    farm.enqueue([task(1)]).await;
    let first = farm.lease_one("w1").await;
    assert_eq!(farm.lease("w2").await.len(), 0, "nobody asked for it");
    back_up(&farm, 1).await;
    back_up(&farm, 1).await;
    assert_eq!(farm.lease("w1").await.len(), 0);
    let second = farm.lease_one("w2").await;
    assert_eq!((second.id.key, &second.task), (first.id.key, &first.task));
    assert_ne!(second.id.token, first.id.token);
    back_up(&farm, 1).await;
    for worker in ["w1", "w2", "w3"] {
        assert_eq!(farm.lease(worker).await.len(), 0);
    }
    farm.queue.release(&second.id).await.unwrap();
    back_up(&farm, 1).await;
    assert_eq!(farm.lease("w3").await.len(), 0, "it has had its second run");
}

/// Of any of the pools that the worker serves; and it must fit itself.
pub async fn backup_waits_until_nothing_else_fits<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    let large = Task {
        memory_estimate: Some(5 * GIB),
        ..task(1)
    };
    farm.enqueue([large]).await;
    farm.lease_one("w1").await;
    back_up(&farm, 1).await;
    let elsewhere = Task {
        pool: "big".into(),
        ..task(2)
    };
    let hopeless = Task {
        memory_estimate: Some(9 * GIB),
        ..task(4)
    };
    farm.enqueue([elsewhere, task(3), hopeless]).await;
    let both = |free_memory| LeaseRequest {
        pools: ["default".into(), "big".into()].into(),
        max: 1,
        free_memory,
        running: 1,
        ..request("w2")
    };
    for (expected, free) in [(3, 8), (2, 8)] {
        let leases = farm.queue.lease(both(free * GIB)).await.unwrap();
        assert_eq!(numbers(&leases), [expected]);
    }
    assert_eq!(farm.queue.lease(both(4 * GIB)).await.unwrap().len(), 0);
    let leases = farm.queue.lease(both(8 * GIB)).await.unwrap();
    assert_eq!(numbers(&leases), [1]);
}

/// One whose slots are all in use could not begin it, and would use it up.
pub async fn backup_is_not_for_who_asks_ahead<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    farm.enqueue([task(1)]).await;
    farm.lease_one("w1").await;
    back_up(&farm, 1).await;
    let alone = Task {
        exclusive: true,
        ..task(2)
    };
    let ahead = || LeaseRequest {
        ahead: true,
        ..request("w2")
    };
    assert_eq!(farm.queue.lease(ahead()).await.unwrap().len(), 0);
    farm.enqueue([alone, task(3)]).await;
    let leases = farm.queue.lease(ahead()).await.unwrap();
    assert_eq!(numbers(&leases), [3], "it is not idle");
    assert_eq!(numbers(&farm.lease("w3").await), [2]);
    assert_eq!(numbers(&farm.lease("w4").await), [1]);
}

/// And for the run that is meant, by an owner who wants it, of a task that needs no worker for itself.
pub async fn backup_is_for_what_is_under_lease<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    let alone = Task {
        exclusive: true,
        ..task(2)
    };
    farm.enqueue([task(1), alone]).await;
    back_up(&farm, 1).await;
    let exclusive = farm.lease_one("w0").await;
    let lease = farm.lease_one("w1").await;
    assert_eq!(
        farm.lease("w2").await.len(),
        0,
        "asked for before the lease"
    );
    back_up(&farm, 2).await;
    back_up(&farm, 3).await;
    let key = task(1).key;
    let stranger: Owner = "scheduler-2".into();
    farm.queue
        .back_up(&stranger, &[(key, RunId(1))])
        .await
        .unwrap();
    farm.queue
        .back_up(&owner(), &[(key, RunId(7))])
        .await
        .unwrap();
    assert_eq!(farm.lease("w2").await.len(), 0);
    // Asked for, and then nobody wants it.
    back_up(&farm, 1).await;
    farm.queue
        .cancel(&owner(), &[(key, RunId(1))])
        .await
        .unwrap();
    assert_eq!(farm.lease("w2").await.len(), 0);
    for lease in [exclusive, lease] {
        farm.queue.complete(&lease.id, success(None)).await.unwrap();
    }
    assert_eq!(farm.ends().await.len(), 2);
}

/// As a task does that becomes ready.
pub async fn backup_wakes_who_waits<S: Subject>() {
    let farm = Fixture::<S>::start_without_poll().await;
    farm.enqueue([task(1)]).await;
    farm.lease_one("w1").await;
    let queue = farm.queue.clone();
    let begin = Instant::now();
    let waiting = tokio::spawn(async move {
        let wait = LeaseRequest {
            wait: LONG,
            ..request("w2")
        };
        queue.lease(wait).await.unwrap()
    });
    // The worker is waiting by now, so that only the bell can tell it.
    tokio::time::sleep(OPTIONS.poll_interval).await;
    back_up(&farm, 1).await;
    assert_eq!(numbers(&waiting.await.unwrap()), [1]);
    assert!(begin.elapsed() < LONG / 2, "the doorbell was not heard");
}

/// Whichever it is; the other one changes nothing.
pub async fn backup_the_first_result_ends_both<S: Subject>() {
    for quick in [0, 1] {
        let farm = Fixture::<S>::start().await;
        let blob = Digest::of(b"export");
        farm.subject.upload(blob).await;
        let leases: [LeaseId; 2] = twice(&farm).await.into();
        let done = farm
            .queue
            .complete(&leases[quick], success(Some(blob)))
            .await;
        // Who held the lease is what the queue says, to the caller and to the owner.
        assert_eq!(*done.unwrap(), *["w1", "w2"][quick]);
        is_lost(&farm, leases[1 - quick], Renewal::Lost).await;
        let news = farm.news().await;
        let News::Done { worker, lease, .. } = &news[0] else {
            panic!("{news:?}");
        };
        assert_eq!(worker.as_deref(), Some(["w1", "w2"][quick]));
        assert_eq!(*lease, Some(leases[quick].token));
        assert_eq!(ends(news), [(1, RunId(1), success(Some(blob)))]);
        assert_eq!(farm.queue.stats().await.unwrap().leased, 0);
        // The key runs again, and who was late then is late still.
        farm.enqueue([task(1)]).await;
        farm.lease_one("w3").await;
        is_lost(&farm, leases[1 - quick], Renewal::Stolen).await;
    }
}

/// It is as true of the action as a success is.
pub async fn backup_a_failure_is_a_result<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    let (first, second) = twice(&farm).await;
    let failed = Outcome::Failed(Arc::new(ActionResult::default()));
    let done = farm.queue.complete(&second, failed.clone()).await;
    done.unwrap();
    is_lost(&farm, first, Renewal::Lost).await;
    assert_eq!(farm.ends().await, [(1, RunId(1), failed)]);
}

/// What says nothing of the action.
fn for_nothing() -> [Outcome; 5] {
    [
        Outcome::Crashed {
            reason: "disk full".into(),
        },
        Outcome::OutOfMemory {
            alone: false,
            reason: "link was killed".into(),
        },
        Outcome::Released,
        Outcome::BlobsMissing([Digest::of(b"x")].into()),
        Outcome::LostLease,
    ]
}

/// Ends one of two leases, of which the other is renewed.
async fn end<S: Subject>(farm: &Fixture<S>, lease: LeaseId, outcome: Outcome, other: LeaseId) {
    if outcome == Outcome::LostLease {
        for _ in 0..3 {
            farm.subject.advance(OPTIONS.lease_ttl / 2).await;
            let renewals = farm.queue.renew(&[other]).await.unwrap();
            assert!(matches!(renewals[..], [Renewal::Held { .. }]));
        }
        assert_eq!(farm.queue.reap(10).await.unwrap().leases, 1);
    } else {
        farm.queue.complete(&lease, outcome).await.unwrap();
    }
}

/// The first goes on as if there had been no other.
pub async fn backup_that_comes_to_nothing_is_not_told<S: Subject>() {
    for outcome in for_nothing() {
        let farm = Fixture::<S>::start().await;
        let (first, second) = twice(&farm).await;
        end(&farm, second, outcome, first).await;
        is_lost(&farm, second, Renewal::Stolen).await;
        assert_eq!(farm.news().await, []);
        let crashed = Outcome::Crashed { reason: "x".into() };
        let done = farm.queue.complete(&first, crashed.clone()).await;
        done.unwrap();
        assert_eq!(farm.ends().await, [(1, RunId(1), crashed)]);
    }
}

/// The task is then its, and its end is told as its.
pub async fn backup_outlives_the_first<S: Subject>() {
    for outcome in for_nothing() {
        let farm = Fixture::<S>::start().await;
        let (first, second) = twice(&farm).await;
        end(&farm, first, outcome, second).await;
        is_lost(&farm, first, Renewal::Stolen).await;
        assert_eq!(farm.news().await, []);
        assert_eq!(farm.queue.stats().await.unwrap().leased, 1);
        // Who says again what it wants hears who has it.
        farm.enqueue([task(1)]).await;
        let news = farm.news().await;
        assert!(
            matches!(&news[..], [News::Started { worker, .. }] if **worker == *"w2"),
            "{news:?}"
        );
        farm.queue.complete(&second, success(None)).await.unwrap();
        assert_eq!(farm.ends().await, [(1, RunId(1), success(None))]);
    }
}

/// The task is lost when the last of its leases is.
pub async fn backup_both_lost_is_told_once<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    let (first, second) = twice(&farm).await;
    farm.expire().await;
    let leases = farm.queue.reap(10).await.unwrap().leases;
    assert_eq!(leases, 2);
    assert_eq!(farm.ends().await, [(1, RunId(1), Outcome::LostLease)]);
    for lease in [first, second] {
        is_lost(&farm, lease, Renewal::Lost).await;
    }
    assert_eq!(farm.queue.reap(10).await.unwrap().next, None);
}

/// The queue tells when the next of them runs out.
pub async fn backup_leases_are_renewed_apart<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    let (first, second) = twice(&farm).await;
    let renewals = farm.queue.renew(&[second, first]).await.unwrap();
    assert!(matches!(
        renewals[..],
        [Renewal::Held { .. }, Renewal::Held { .. }]
    ));
    for (renewed, expected) in [(first, Duration::from_millis(150)), (first, Duration::ZERO)] {
        farm.subject.advance(Duration::from_millis(250)).await;
        let renewals = farm.queue.renew(&[renewed]).await.unwrap();
        assert!(matches!(renewals[..], [Renewal::Held { .. }]));
        let next = farm.queue.reap(0).await.unwrap().next.unwrap();
        assert!(next <= expected, "{next:?}");
    }
    assert_eq!(farm.queue.renew(&[second]).await.unwrap(), [Renewal::Lost]);
    farm.queue.complete(&first, success(None)).await.unwrap();
    assert_eq!(farm.ends().await.len(), 1);
}

/// The owner hears when both are over.
pub async fn backup_cancel_reaches_both<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    let (first, second) = twice(&farm).await;
    let cancel = [(task(1).key, RunId(1))];
    farm.queue.cancel(&owner(), &cancel).await.unwrap();
    for renewal in farm.queue.renew(&[first, second]).await.unwrap() {
        let Renewal::Held { cancelled, .. } = renewal else {
            panic!("{renewal:?}");
        };
        assert!(cancelled);
    }
    let done = farm.queue.complete(&first, Outcome::Cancelled).await;
    done.unwrap();
    assert_eq!(farm.ends().await, [], "the other may still run");
    let done = farm.queue.complete(&second, Outcome::Cancelled).await;
    done.unwrap();
    assert_eq!(farm.ends().await, [(1, RunId(1), Outcome::Cancelled)]);
}

/// Not even when the first is gone: owners hear of the output of one run, and of all of it with its end.
pub async fn backup_output_is_not_told<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    let (first, second) = twice(&farm).await;
    let print = async |lease, text: &'static str| {
        let outputs = [printed(lease, 0, text.as_bytes())];
        let answers = farm.queue.append_log(&outputs).await.unwrap();
        assert!(matches!(answers[..], [Renewal::Held { .. }]), "{answers:?}");
    };
    print(second, "second").await;
    print(first, "first").await;
    farm.queue.release(&first).await.unwrap();
    print(second, "second").await;
    let expected = [(RunId(1), 0, "first".to_owned())];
    assert_eq!(output(&farm.news().await), expected);
}

/// As any other lease does: it is not idle, and is again when the run is over, however that ends.
pub async fn backup_counts_for_its_worker<S: Subject>() {
    let alone = |number| Task {
        exclusive: true,
        ..task(number)
    };
    for winner in ["w1", "w2"] {
        let farm = Fixture::<S>::start().await;
        let (first, second) = twice(&farm).await;
        let stats = farm.queue.stats().await.unwrap();
        assert_eq!((stats.queued, stats.leased, stats.leases_given), (0, 1, 2));
        farm.enqueue([alone(7), alone(8)]).await;
        let idle = async |worker| -> Vec<Lease> { farm.lease(worker).await };
        assert_eq!(idle("w1").await.len() + idle("w2").await.len(), 0);
        let won = if winner == "w1" { first } else { second };
        farm.queue.complete(&won, success(None)).await.unwrap();
        assert_eq!(numbers(&idle("w1").await), [8]);
        assert_eq!(numbers(&idle("w2").await), [7]);
    }
}
