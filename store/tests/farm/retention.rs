//! What a store keeps and for how long, on a folder and on S3.

use std::fs::{self, File, FileTimes};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use gofarm_proto::{ActionKey, Digest, v1};
use gofarm_store::{Amount, Collected, FarmStore, Retention};

use crate::replica::{noise, result, soon};
use crate::two::Two;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn key(name: &str) -> ActionKey {
    ActionKey::new(&Digest::of(name.as_bytes()), [])
}

fn age(kept: Duration) -> Retention {
    Retention {
        age: Some(kept),
        bytes: None,
    }
}

async fn collect(store: &FarmStore, retention: Retention) -> Collected {
    let collected = store.collect(retention, false, |_, _| true);
    soon(collected).await.unwrap()
}

async fn put(store: &FarmStore, seed: u64) -> Digest {
    soon(store.put_bytes(noise(seed, 5000))).await.unwrap()
}

async fn is_there(store: &FarmStore, blob: Digest) -> bool {
    soon(store.missing(vec![blob])).await.unwrap().is_empty()
}

/// The file that has this blob or result.
fn file(two: &Two, kind: &str, hex: &str) -> PathBuf {
    two.root().join(kind).join(&hex[..2]).join(hex)
}

/// As if it had last been written and used so long ago.
fn make_old(path: &Path, ago: Duration) {
    let then = SystemTime::now() - ago;
    let file = File::open(path).unwrap();
    // The sealed time of a folder's blob stays.
    let sealed = file.metadata().unwrap().permissions().readonly();
    let times = FileTimes::new().set_accessed(then);
    let times = if sealed {
        times
    } else {
        times.set_modified(then)
    };
    file.set_times(times).unwrap();
}

fn make_blob_old(two: &Two, blob: &Digest, ago: Duration) {
    make_old(&file(two, "cas", &blob.hex()), ago);
}

async fn by_age(two: Two) {
    let old = put(&two.a, 1).await;
    let young = put(&two.a, 2).await;
    soon(
        two.a
            .record_action(key("old"), result(&[("o", old)]), v1::Provenance::default()),
    )
    .await
    .unwrap();
    soon(two.a.record_action(
        key("young"),
        result(&[("o", young)]),
        v1::Provenance::default(),
    ))
    .await
    .unwrap();
    make_blob_old(&two, &old, 3 * DAY);
    make_old(&file(&two, "actions", &key("old").hex()), 3 * DAY);
    make_blob_old(&two, &young, DAY);

    let would = two.b.collect(age(2 * DAY), true, |_, _| true);
    let would = soon(would).await.unwrap();
    assert_eq!((would.before.blobs, would.before.results), (2, 2));
    assert_eq!((would.removed.blobs, would.removed.results), (1, 1));
    assert!(
        file(&two, "cas", &old.hex()).exists(),
        "a dry run removes nothing"
    );

    let collected = collect(&two.b, age(2 * DAY)).await;
    assert_eq!(collected, would);
    assert!(!is_there(&two.b, old).await && is_there(&two.b, young).await);
    assert_eq!(soon(two.b.action(key("old"))).await.unwrap(), None);
    assert!(soon(two.b.action(key("young"))).await.unwrap().is_some());
    let amount = soon(two.b.amount()).await.unwrap();
    assert_eq!((amount.blobs, amount.results), (1, 1));
    assert!(amount.bytes() >= 5000);
    let again = collect(&two.b, age(2 * DAY)).await;
    assert_eq!(again.removed, Amount::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_used_for_longer_than_the_age_goes_and_the_rest_stays() {
    by_age(Two::on_a_folder()).await;
    by_age(Two::on_s3()).await;
}

async fn said_to_be_there(two: Two) {
    let blobs = [
        put(&two.a, 1).await,
        put(&two.a, 2).await,
        put(&two.a, 3).await,
    ];
    let [asked, named, nobodys] = blobs;
    soon(
        two.a
            .record_action(key("r"), result(&[("o", named)]), v1::Provenance::default()),
    )
    .await
    .unwrap();
    for blob in &blobs {
        make_blob_old(&two, blob, 3 * DAY);
    }
    make_old(&file(&two, "actions", &key("r").hex()), 3 * DAY);
    // Another replica than the one that collects, in the moment before.
    let c = two.another();
    assert!(is_there(&c, asked).await);
    assert!(soon(c.action(key("r"))).await.unwrap().is_some());
    for _ in 0..2 {
        collect(&two.b, age(DAY)).await;
        let there = |blob: &Digest| file(&two, "cas", &blob.hex()).exists();
        assert!(there(&asked), "it was said to be there");
        assert!(there(&named), "its result was looked up");
        assert!(!there(&nobodys));
    }
    assert!(soon(two.b.action(key("r"))).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_to_be_there_a_moment_ago_is_not_collected() {
    said_to_be_there(Two::on_a_folder()).await;
    said_to_be_there(Two::on_s3()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_is_said_to_be_there_then_collected_then_needed_is_missed_and_taken_again() {
    let two = Two::on_s3();
    let blob = put(&two.a, 1).await;
    make_blob_old(&two, &blob, 3 * DAY);
    let c = two.another();
    assert!(is_there(&c, blob).await);
    // The collector has looked at the notes just before this one was written.
    fs::remove_dir_all(two.root().join("used")).unwrap();
    assert_eq!(collect(&two.b, age(DAY)).await.removed.blobs, 1);

    let error = soon(c.read(blob)).await.unwrap_err();
    assert!(error.is_lost_blob(), "{error}");
    assert!(
        !is_there(&c, blob).await,
        "it is no longer said to be there"
    );
    assert_eq!(put(&c, 1).await, blob);
    assert!(is_there(&two.b, blob).await);
    assert_eq!(soon(two.b.read(blob)).await.unwrap(), noise(1, 5000));
}

async fn by_bytes(two: Two) {
    let mut blobs = Vec::new();
    for seed in 0..10 {
        let blob = put(&two.a, seed).await;
        make_blob_old(&two, &blob, DAY * (20 - seed as u32));
        blobs.push(blob);
    }
    let whole = soon(two.b.amount()).await.unwrap().bytes();
    let retention = Retention {
        age: None,
        bytes: Some(whole / 2),
    };
    let collected = collect(&two.b, retention).await;
    assert_eq!(
        collected.removed.blobs, 6,
        "down to nine tenths of the bound"
    );
    for (seed, blob) in blobs.iter().enumerate() {
        let there = file(&two, "cas", &blob.hex()).exists();
        assert_eq!(there, seed >= 6, "the least recently used goes first");
    }
    // What has just been written stays, and is said to be too much.
    for seed in 20..30 {
        put(&two.a, seed).await;
    }
    let collected = collect(&two.b, retention).await;
    assert_eq!(collected.removed.blobs, 4);
    assert_eq!(collected.above_bound, whole / 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn above_its_bound_a_store_lets_go_of_what_was_used_least_recently() {
    by_bytes(Two::on_a_folder()).await;
    by_bytes(Two::on_s3()).await;
}

async fn told_to_end(two: Two) {
    let blob = put(&two.a, 1).await;
    make_blob_old(&two, &blob, 3 * DAY);
    let collected = two.b.collect(age(DAY), false, |_, _| false);
    let collected = soon(collected).await.unwrap();
    assert!(collected.ended);
    assert_eq!(collected.removed.blobs, 0);
    assert!(file(&two, "cas", &blob.hex()).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_told_to_end_removes_nothing_more() {
    told_to_end(Two::on_a_folder()).await;
    told_to_end(Two::on_s3()).await;
}
