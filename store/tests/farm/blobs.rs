//! Blobs that several replicas share.

use futures::future::join_all;
use gofarm_proto::Digest;
use gofarm_store::{DiskStore, DiskStoreOptions, FarmStore, StoreError};
use gofarm_testkit::S3Server;

use crate::replica::{Replica, blob, noise, soon};

/// More than two parts, and not a whole number of them.
const LARGE: usize = (17 << 20) + 5;

#[tokio::test(flavor = "multi_thread")]
async fn what_one_replica_stores_another_reads() {
    let s3 = S3Server::start();
    let (a, b) = (Replica::of(&s3), Replica::of(&s3));
    let contents: Vec<Vec<u8>> = [0, 1, 100, 70_000, LARGE]
        .into_iter()
        .map(|size| noise(size as u64, size))
        .collect();
    for content in &contents {
        let digest = soon(a.store.put_bytes(content.clone())).await.unwrap();
        assert!(s3.object(&blob(&digest)).exists());
    }
    for content in &contents {
        let digest = Digest::of(content);
        assert_eq!(soon(b.store.missing(vec![digest])).await.unwrap(), []);
        assert!(soon(b.store.read(digest)).await.unwrap() == *content);
        assert!(b.store.local().contains(&digest));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_pieces_come_in_and_go_out() {
    let s3 = S3Server::start();
    let (a, b) = (Replica::of(&s3), Replica::of(&s3));
    let content = noise(1, LARGE);
    let file = a.store.local().scratch_dir().join("file");
    std::fs::write(&file, &content).unwrap();
    let adopted = soon(a.store.adopt_file(&file)).await.unwrap();
    assert_eq!(adopted, Digest::of(&content));

    let mut reader = soon(b.store.reader(adopted, 3)).await.unwrap();
    let mut read = Vec::new();
    loop {
        let piece = reader.piece(1 << 20).unwrap();
        if piece.is_empty() {
            break;
        }
        read.extend(piece);
    }
    assert!(read == content[3..]);

    let small = Digest::of(b"piece by piece");
    let mut incoming = b.store.incoming(small).await.unwrap();
    incoming.write(b"piece ").unwrap();
    incoming.write(b"by piece").unwrap();
    soon(b.store.accept(incoming)).await.unwrap();
    assert_eq!(soon(a.store.read(small)).await.unwrap(), b"piece by piece");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_named_in_order_and_once() {
    let s3 = S3Server::start();
    let replica = Replica::of(&s3);
    let mut there = Vec::new();
    for i in 0..20 {
        there.push(soon(replica.store.put_bytes(noise(i, 50))).await.unwrap());
    }
    let absent: Vec<Digest> = (0..300_u32).map(|i| Digest::of(&i.to_le_bytes())).collect();
    let asked = [&absent[..200], &there[..], &absent[..]].concat();
    let other = Replica::of(&s3);
    assert_eq!(soon(other.store.missing(asked)).await.unwrap(), absent);
    let error = soon(other.store.fetch(absent[0])).await.unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_readers_of_a_blob_cost_one_transfer() {
    let s3 = S3Server::start();
    let (a, b) = (Replica::of(&s3), Replica::of(&s3));
    let digest = soon(a.store.put_bytes(noise(1, 100_000))).await.unwrap();
    let reads = (0..20).map(|_| b.store.fetch(digest));
    for path in soon(join_all(reads)).await {
        assert_eq!(path.unwrap(), b.store.local().path(&digest));
    }
    // The server writes its log after it has answered.
    let reads = || s3.requests(&["GetObject", &digest.hex()]);
    while reads() == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(reads(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_folder_lost_comes_back() {
    let s3 = S3Server::start();
    let replica = Replica::of(&s3);
    let content = noise(1, 5_000);
    let digest = soon(replica.store.put_bytes(content.clone()))
        .await
        .unwrap();
    std::fs::remove_file(replica.store.local().path(&digest)).unwrap();
    assert!(soon(replica.store.read(digest)).await.unwrap() == content);
}

#[tokio::test]
async fn replicas_share_a_folder() {
    let shared = tempfile::tempdir().unwrap();
    let url = format!("file://{}", shared.path().display());
    let own = tempfile::tempdir().unwrap();
    let local = DiskStore::open(own.path(), DiskStoreOptions::default()).unwrap();
    let a = FarmStore::open(&url, local.clone()).unwrap();
    let b = FarmStore::open(&url, local).unwrap();
    let digest = a.put_bytes(b"shared".to_vec()).await.unwrap();
    assert_eq!(b.missing(vec![digest]).await.unwrap(), []);
    assert!(b.fetch(digest).await.unwrap().starts_with(shared.path()));
}

#[tokio::test]
async fn eviction_spares_what_was_used_lately() {
    let folder = tempfile::tempdir().unwrap();
    let options = DiskStoreOptions {
        max_bytes: 10 * 4096,
        ..DiskStoreOptions::default()
    };
    let store = FarmStore::on_disk(DiskStore::open(folder.path(), options).unwrap());
    let mut digests = Vec::new();
    for i in 0..30 {
        digests.push(store.put_bytes(noise(i, 100)).await.unwrap());
    }
    let report = store.evict().await.unwrap();
    assert_eq!(report.blobs, 0);
    assert!(report.held_above_bound > 0, "{report:?}");
    assert_eq!(store.missing(digests).await.unwrap(), []);
}
