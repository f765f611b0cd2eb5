//! Rules 2 to 5: who may change a leased task.

use std::sync::Arc;

use gofarm_proto::Digest;

use super::Subject;
use super::fixture::{Fixture, success, task};
use crate::{LeaseId, QueueError, Renewal};
use gofarm_engine::core::{ActionResult, Log, Outcome, RunId};

/// Every way to change a lease, tried by one who no longer has it.
async fn refused<S: Subject>(farm: &Fixture<S>, stale: &LeaseId, stolen: bool) {
    let (queue, renewal) = match stolen {
        true => (&farm.queue, Renewal::Stolen),
        false => (&farm.queue, Renewal::Lost),
    };
    assert_eq!(queue.renew(&[*stale]).await.unwrap(), [renewal]);
    let failed = Outcome::Crashed { reason: "x".into() };
    for result in [
        queue.complete(stale, success(None)).await.map(drop),
        queue.complete(stale, failed).await.map(drop),
        queue.complete(stale, Outcome::Cancelled).await.map(drop),
        queue.release(stale).await,
    ] {
        match result {
            Err(QueueError::Stolen) if stolen => {}
            Err(QueueError::Lost) if !stolen => {}
            other => panic!("{other:?}"),
        }
    }
}

/// A holder whose task another worker has by now is told so, and changes nothing.
pub async fn rule_02_every_effect_is_fenced<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    farm.enqueue([task(1)]).await;
    let stale = farm.lease_one("w1").await.id;
    farm.expire().await;
    refused(&farm, &stale, false).await;
    assert_eq!(farm.queue.reap(10).await.unwrap().leases, 1);
    refused(&farm, &stale, false).await;
    farm.enqueue([task(1)]).await;
    refused(&farm, &stale, false).await;
    let held = farm.lease_one("w2").await.id;
    farm.news().await;
    refused(&farm, &stale, true).await;
    assert_eq!(farm.news().await, []);
    let renewals = farm.queue.renew(&[stale, held]).await.unwrap();
    assert!(matches!(
        renewals[..],
        [
            Renewal::Stolen,
            Renewal::Held {
                cancelled: false,
                ..
            }
        ]
    ));
    farm.queue.complete(&held, success(None)).await.unwrap();
    assert!(farm.queue.stats().await.unwrap().fenced > 0);
}

/// Not when the reaper comes: else a worker that counts for itself and the queue would not agree.
pub async fn rule_02_a_lease_ends_at_its_deadline<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    farm.enqueue([task(1)]).await;
    let lease = farm.lease_one("w1").await.id;
    farm.expire().await;
    refused(&farm, &lease, false).await;
    assert_eq!(farm.ends().await, []);
    farm.queue.reap(10).await.unwrap();
    assert_eq!(farm.ends().await, [(1, RunId(1), Outcome::LostLease)]);
}

/// A worker that did not hear the answer asks again, and that is not a second end.
pub async fn rule_02_an_outcome_is_told_once<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    farm.enqueue([task(1)]).await;
    let lease = farm.lease_one("w1").await.id;
    farm.queue.complete(&lease, success(None)).await.unwrap();
    refused(&farm, &lease, false).await;
    assert_eq!(farm.ends().await.len(), 1);
}

/// Counters start over with the data; the incarnation keeps old tokens from matching.
pub async fn rule_03_tokens_survive_lost_data<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    let before = farm.queue.incarnation().await.unwrap();
    assert_eq!(farm.queue.incarnation().await.unwrap(), before);
    farm.enqueue([task(1)]).await;
    let old = farm.lease_one("w1").await.id;
    farm.subject.lose_data().await;
    assert_ne!(farm.queue.incarnation().await.unwrap(), before);
    refused(&farm, &old, false).await;
    farm.enqueue([task(1)]).await;
    let new = farm.lease_one("w2").await.id;
    assert_ne!(old.token, new.token);
    refused(&farm, &old, true).await;
    farm.queue.complete(&new, success(None)).await.unwrap();
}

/// Two workers run one action; one result is accepted.
pub async fn rule_04_a_late_result_is_refused_and_the_other_one_counts<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    let (early, late) = (Digest::of(b"early"), Digest::of(b"late"));
    farm.subject.upload(early).await;
    farm.subject.upload(late).await;
    farm.enqueue([task(1)]).await;
    let slow = farm.lease_one("w1").await.id;
    farm.expire().await;
    farm.queue.reap(10).await.unwrap();
    farm.enqueue([task(1)]).await;
    let quick = farm.lease_one("w2").await.id;
    let refused = farm.queue.complete(&slow, success(Some(late))).await;
    assert!(matches!(refused, Err(QueueError::Stolen)), "{refused:?}");
    let accepted = success(Some(early));
    farm.queue.complete(&quick, accepted.clone()).await.unwrap();
    assert_eq!(
        farm.ends().await,
        [(1, RunId(1), Outcome::LostLease), (1, RunId(1), accepted)]
    );
}

/// A long log is there before the result is, of a success and of a failure.
pub async fn rule_05_so_does_a_long_log<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    let log = Digest {
        hash: [5; 32],
        size: 20 << 10,
    };
    for (number, succeeds) in [(1, true), (2, false)] {
        farm.enqueue([task(number)]).await;
        let lease = farm.lease_one("w1").await.id;
        let result = Arc::new(ActionResult {
            exit_code: i32::from(!succeeds),
            log: Log::Blob(Digest {
                hash: [number; 32],
                ..log
            }),
            ..ActionResult::default()
        });
        let outcome = match succeeds {
            true => Outcome::Succeeded(result.clone()),
            false => Outcome::Failed(result.clone()),
        };
        let refused = farm.queue.complete(&lease, outcome.clone()).await;
        match refused {
            Err(QueueError::NotUploaded { missing }) => assert_eq!(missing, result.blobs()),
            other => panic!("{other:?}"),
        }
        farm.subject.upload(result.log.blob().unwrap()).await;
        farm.queue.complete(&lease, outcome.clone()).await.unwrap();
        assert_eq!(farm.ends().await, [(number, RunId(number.into()), outcome)]);
    }
}

/// A result whose blobs are not there is not taken, and the lease is still held.
pub async fn rule_05_upload_comes_before_complete<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    farm.enqueue([task(1)]).await;
    let lease = farm.lease_one("w1").await.id;
    let output = Digest::of(b"export");
    let refused = farm.queue.complete(&lease, success(Some(output))).await;
    match refused {
        Err(QueueError::NotUploaded { missing }) => assert_eq!(missing, [output]),
        other => panic!("{other:?}"),
    }
    assert_eq!(farm.ends().await, []);
    farm.subject.upload(output).await;
    let accepted = success(Some(output));
    farm.queue.complete(&lease, accepted.clone()).await.unwrap();
    assert_eq!(farm.ends().await, [(1, RunId(1), accepted)]);
}
