//! The action cache that several replicas share.

use std::fs;

use gofarm_proto::{ActionKey, Digest, v1};
use gofarm_store::Recorded;
use gofarm_testkit::{S3Server, overwrite};

use crate::replica::{Replica, blob, noise, result, soon};

fn key(name: &str) -> ActionKey {
    ActionKey::new(&Digest::of(name.as_bytes()), [])
}

fn entry(s3: &S3Server, key: &ActionKey) -> std::path::PathBuf {
    let hex = key.hex();
    s3.object(&format!("some/prefix/actions/{}/{hex}", &hex[..2]))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_replica_records_another_finds() {
    let s3 = S3Server::start();
    let (a, b) = (Replica::of(&s3), Replica::of(&s3));
    let key = key("compile fmt");
    assert_eq!(soon(b.store.action(key)).await.unwrap(), None);
    let made = result(&[("pkg.x", Digest::of(b"export"))]);
    let recorded = soon(
        a.store
            .record_action(key, made.clone(), v1::Provenance::default()),
    )
    .await;
    assert_eq!(recorded.unwrap(), Recorded::Stored);
    assert_eq!(soon(b.store.action(key)).await.unwrap(), Some(made.clone()));
    let recorded = soon(b.store.record_action(key, made, v1::Provenance::default())).await;
    assert_eq!(recorded.unwrap(), Recorded::AlreadyThere);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_of_two_results_stays_while_its_outputs_do() {
    let s3 = S3Server::start();
    let (a, b) = (Replica::of(&s3), Replica::of(&s3));
    let key = key("link");
    let first_blob = soon(a.store.put_bytes(noise(1, 10))).await.unwrap();
    let second_blob = soon(b.store.put_bytes(noise(2, 10))).await.unwrap();
    let (first, second) = (
        result(&[("a.out", first_blob)]),
        result(&[("a.out", second_blob)]),
    );
    soon(
        a.store
            .record_action(key, first.clone(), v1::Provenance::default()),
    )
    .await
    .unwrap();
    for _ in 0..2 {
        let recorded = soon(
            b.store
                .record_action(key, second.clone(), v1::Provenance::default()),
        )
        .await;
        let Recorded::NonDeterministic { valid, finding, .. } = recorded.unwrap() else {
            panic!("not noticed");
        };
        assert_eq!(*valid, first);
        assert!(finding.starts_with("s3://farm/some/prefix/findings"));
        assert_eq!(s3.names("some/prefix/findings").len(), 1);
    }

    fs::remove_file(s3.object(&blob(&first_blob))).unwrap();
    let recorded = soon(
        b.store
            .record_action(key, second.clone(), v1::Provenance::default()),
    )
    .await;
    let Recorded::NonDeterministic { valid, .. } = recorded.unwrap() else {
        panic!("not noticed");
    };
    assert_eq!(*valid, second);
    assert_eq!(soon(a.store.action(key)).await.unwrap(), Some(second));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_results_that_come_at_once_one_is_the_first() {
    let s3 = S3Server::start();
    let replicas = [Replica::of(&s3), Replica::of(&s3)];
    for round in 0..10 {
        let key = key(&round.to_string());
        let mut results = Vec::new();
        for (i, replica) in replicas.iter().enumerate() {
            let digest = soon(replica.store.put_bytes(noise(i as u64, 10))).await;
            results.push(result(&[("o", digest.unwrap())]));
        }
        let (a, b) = soon(async {
            tokio::join!(
                replicas[0]
                    .store
                    .record_action(key, results[0].clone(), v1::Provenance::default()),
                replicas[1]
                    .store
                    .record_action(key, results[1].clone(), v1::Provenance::default()),
            )
        })
        .await;
        let valid = soon(replicas[0].store.action(key)).await.unwrap().unwrap();
        match (a.unwrap(), b.unwrap()) {
            (Recorded::Stored, Recorded::NonDeterministic { valid: told, .. }) => {
                assert_eq!((&valid, &*told), (&results[0], &results[0]));
            }
            (Recorded::NonDeterministic { valid: told, .. }, Recorded::Stored) => {
                assert_eq!((&valid, &*told), (&results[1], &results[1]));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_entry_is_set_aside() {
    let s3 = S3Server::start();
    let (a, b) = (Replica::of(&s3), Replica::of(&s3));
    let key = key("compile net/http");
    let made = result(&[("pkg.x", Digest::of(b"export"))]);
    soon(
        a.store
            .record_action(key, made.clone(), v1::Provenance::default()),
    )
    .await
    .unwrap();
    let object = entry(&s3, &key);
    let whole = fs::read(&object).unwrap();
    overwrite(&object, &whole[..whole.len() - 1]);
    assert_eq!(soon(b.store.action(key)).await.unwrap(), None);
    assert_eq!(b.store.found_damage().actions, 1);
    assert!(!object.exists());
    assert_eq!(s3.names("some/prefix/quarantine").len(), 1);
    let recorded = soon(b.store.record_action(key, made, v1::Provenance::default())).await;
    assert_eq!(recorded.unwrap(), Recorded::Stored);
}
