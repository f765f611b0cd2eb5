//! Results that are taken back, on a folder and on S3, with two replicas.

use std::time::{Duration, SystemTime};

use gofarm_proto::{ActionKey, Digest, v1};
use gofarm_store::{FarmStore, Recorded, TakeBack};
use gofarm_timing::now_ms;

use crate::replica::{result, soon};
use crate::two::Two;

fn key(name: &str) -> ActionKey {
    ActionKey::new(&Digest::of(name.as_bytes()), [])
}

fn made_of(name: &str) -> v1::ActionResult {
    result(&[("pkg.x", Digest::of(name.as_bytes()))])
}

/// A result of this worker, accepted so long ago.
fn by(worker: &str, ago: Duration) -> v1::Provenance {
    v1::Provenance {
        worker: worker.to_owned(),
        lease: Some(v1::FencingToken {
            incarnation: 1,
            counter: 2,
        }),
        accepted_ms: now_ms() - ago.as_millis() as u64,
        replica: "a".to_owned(),
    }
}

const MINUTE: Duration = Duration::from_secs(60);

async fn record(store: &FarmStore, name: &str, made: v1::Provenance) -> Recorded {
    let recorded = store.record_action(key(name), made_of(name), made);
    soon(recorded).await.unwrap()
}

async fn is_recorded(store: &FarmStore, name: &str) -> bool {
    soon(store.action(key(name))).await.unwrap().is_some()
}

fn since(ago: Duration) -> TakeBack {
    TakeBack::MadeBy {
        worker: "bad".to_owned(),
        since: SystemTime::now() - ago,
    }
}

async fn all_of_a_worker_since_a_time(two: Two) {
    let Two { a, b, .. } = &two;
    record(a, "old", by("bad", 10 * MINUTE)).await;
    record(a, "new", by("bad", MINUTE)).await;
    record(a, "newer", by("bad", Duration::ZERO)).await;
    record(a, "other", by("good", MINUTE)).await;

    let what = since(5 * MINUTE);
    let would = soon(b.take_back(&what, true, |_| {})).await.unwrap();
    assert_eq!((would.results.len(), would.looked_at), (2, 4));
    let makers: Vec<&str> = would.makers.keys().map(String::as_str).collect();
    assert_eq!(makers, ["bad", "good"]);
    assert!(would.makers["good"] < would.makers["bad"]);
    assert!(is_recorded(a, "new").await, "a dry run changes nothing");
    assert!(soon(a.notice_invalidations()).await.unwrap().is_empty());

    let mut parts = 0;
    let took = soon(b.take_back(&what, false, |done| parts = done));
    let took = took.await.unwrap();
    assert_eq!(parts, 256);
    let mut keys: Vec<ActionKey> = took.results.iter().map(|result| result.key).collect();
    keys.sort();
    let mut expected = vec![key("new"), key("newer")];
    expected.sort();
    assert_eq!(keys, expected);
    let lease = |made: &v1::Provenance| made.lease.map(|lease| lease.counter);
    assert!(took.results.iter().all(|result| {
        let made = result.made.as_ref().unwrap();
        made.worker == "bad" && lease(made) == Some(2)
    }));
    for (name, stays) in [
        ("old", true),
        ("new", false),
        ("newer", false),
        ("other", true),
    ] {
        assert_eq!(is_recorded(a, name).await, stays, "{name}");
    }
    let mut noticed = soon(a.notice_invalidations()).await.unwrap();
    noticed.sort_by_key(|(key, _)| *key);
    assert_eq!(noticed.len(), 2);
    assert_eq!((noticed[0].0, noticed[1].0), (expected[0], expected[1]));
    assert!(noticed.iter().all(|(_, outputs)| outputs.len() == 1));
    // Once.
    assert!(soon(a.notice_invalidations()).await.unwrap().is_empty());

    // Made again, by the same worker or another.
    let again = record(a, "new", by("bad", Duration::ZERO)).await;
    assert_eq!(again, Recorded::Stored, "made later");
    assert!(is_recorded(a, "new").await);
    let again = record(a, "newer", by("good", Duration::ZERO)).await;
    assert_eq!(again, Recorded::Stored);
    assert!(is_recorded(b, "newer").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_worker_made_since_a_time_is_taken_back_and_the_rest_stays() {
    all_of_a_worker_since_a_time(Two::on_a_folder()).await;
    all_of_a_worker_since_a_time(Two::on_s3()).await;
}

async fn slow_replicas(two: Two) {
    let Two { a, b, .. } = &two;
    // Accepted, and on its way into the cache through an outage.
    let late = by("bad", Duration::ZERO);
    record(a, "r", late.clone()).await;
    let took = soon(b.take_back(&since(MINUTE), false, |_| {})).await;
    assert_eq!(took.unwrap().results.len(), 1);

    // One that does not know yet writes it again; one that knows does not believe it, and clears it away.
    assert_eq!(record(a, "r", late.clone()).await, Recorded::Stored);
    assert!(is_recorded(a, "r").await);
    soon(b.notice_invalidations()).await.unwrap();
    assert!(!is_recorded(b, "r").await);
    assert!(!is_recorded(a, "r").await);

    // And when it knows, it does not write it again.
    soon(a.notice_invalidations()).await.unwrap();
    assert_eq!(record(a, "r", late).await, Recorded::TakenBack);
    assert!(!is_recorded(a, "r").await);
    let anew = record(a, "r", by("good", Duration::ZERO)).await;
    assert_eq!(anew, Recorded::Stored);
    assert!(is_recorded(b, "r").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_replica_does_not_bring_back_what_was_taken_back() {
    slow_replicas(Two::on_a_folder()).await;
    slow_replicas(Two::on_s3()).await;
}

async fn one_key(two: Two) {
    let Two { a, b, .. } = &two;
    // Nobody knows who made it.
    record(a, "one", v1::Provenance::default()).await;
    record(a, "two", by("bad", MINUTE)).await;
    let what = TakeBack::Key(key("one"));
    let took = soon(b.take_back(&what, false, |_| {})).await.unwrap();
    assert_eq!((took.results.len(), took.looked_at), (1, 1));
    assert!(!is_recorded(a, "one").await && is_recorded(a, "two").await);
    // Again, and of what never was: nothing to be done.
    for what in [what, TakeBack::Key(key("never"))] {
        let took = soon(b.take_back(&what, false, |_| {})).await.unwrap();
        assert!(took.results.is_empty());
    }
    tokio::time::sleep(Duration::from_millis(2)).await;
    soon(a.notice_invalidations()).await.unwrap();
    let anew = record(a, "one", by("bad", Duration::ZERO)).await;
    assert_eq!(anew, Recorded::Stored);
    assert!(is_recorded(a, "one").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_result_of_one_key_is_taken_back() {
    one_key(Two::on_a_folder()).await;
    one_key(Two::on_s3()).await;
}
