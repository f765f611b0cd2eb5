//! Blobs that were lost or damaged behind the replicas' back.

use std::fs;

use gofarm_proto::Digest;
use gofarm_store::StoreError;
use gofarm_testkit::{S3Server, overwrite};

use crate::replica::{Replica, blob, noise, soon};

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_object_is_believed_in_until_it_is_read() {
    let s3 = S3Server::start();
    let (a, b) = (Replica::of(&s3), Replica::of(&s3));
    let digest = soon(a.store.put_bytes(noise(1, 100))).await.unwrap();
    assert_eq!(soon(b.store.missing(vec![digest])).await.unwrap(), []);
    fs::remove_file(s3.object(&blob(&digest))).unwrap();
    assert_eq!(soon(b.store.missing(vec![digest])).await.unwrap(), []);
    let error = soon(b.store.read(digest)).await.unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }), "{error}");
    assert_eq!(soon(b.store.missing(vec![digest])).await.unwrap(), [digest]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_object_is_set_aside_and_can_be_made_again() {
    let s3 = S3Server::start();
    let (a, b) = (Replica::of(&s3), Replica::of(&s3));
    for size in [1_000, 9 << 20] {
        let content = noise(size as u64, size);
        let digest = soon(a.store.put_bytes(content.clone())).await.unwrap();
        let object = s3.object(&blob(&digest));
        let mut damaged = content.clone();
        damaged[size - 1] ^= 1;
        overwrite(&object, &damaged);

        let error = soon(b.store.read(digest)).await.unwrap_err();
        let StoreError::Corrupt { aside, .. } = &error else {
            panic!("{error}");
        };
        let name = aside.file_name().unwrap().to_str().unwrap();
        assert!(aside.starts_with("s3://farm/some/prefix/quarantine"));
        let kept = s3.object("some/prefix/quarantine").join(name);
        assert!(fs::read(kept).unwrap() == damaged);
        assert!(!object.exists());
        assert_eq!(soon(b.store.missing(vec![digest])).await.unwrap(), [digest]);

        soon(b.store.put_bytes(content.clone())).await.unwrap();
        assert!(soon(Replica::of(&s3).store.read(digest)).await.unwrap() == content);
    }
    assert_eq!(b.store.found_damage().blobs, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_object_is_missing() {
    let s3 = S3Server::start();
    let (a, b) = (Replica::of(&s3), Replica::of(&s3));
    let mut digests = Vec::new();
    for (size, left) in [(1_000, 999), (1_000, 0), (1_000, 1_001), (9 << 20, 1 << 20)] {
        let digest = soon(a.store.put_bytes(noise(left as u64, size)))
            .await
            .unwrap();
        overwrite(&s3.object(&blob(&digest)), &vec![0; left]);
        digests.push(digest);
    }
    let (asked, read) = digests.split_at(2);
    assert_eq!(soon(b.store.missing(asked.to_vec())).await.unwrap(), asked);
    for digest in read {
        let error = soon(b.store.read(*digest)).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    }
    assert_eq!(s3.names("some/prefix/quarantine").len(), digests.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_in_the_folder_is_mended_from_the_object_store() {
    let s3 = S3Server::start();
    let replica = Replica::of(&s3);
    let content = noise(1, 3 << 20);
    let digest = soon(replica.store.put_bytes(content.clone()))
        .await
        .unwrap();
    let file = replica.store.local().path(&digest);
    // Before the seal was broken, and after.
    for _ in 0..2 {
        let seal = fs::metadata(&file).unwrap();
        let mut damaged = content.clone();
        damaged[0] ^= 1;
        fs::remove_file(&file).unwrap();
        fs::write(&file, &damaged).unwrap();
        let opened = fs::File::open(&file).unwrap();
        opened.set_permissions(seal.permissions()).unwrap();
        opened.set_modified(seal.modified().unwrap()).unwrap();
        assert!(soon(replica.store.read(digest)).await.unwrap() == content);
    }
    assert_eq!(replica.store.found_damage().blobs, 2);
}

#[tokio::test]
async fn bytes_of_another_blob_are_refused() {
    let s3 = S3Server::start();
    let replica = Replica::of(&s3);
    let digest = Digest::of(b"right");
    let mut incoming = replica.store.incoming(digest).await.unwrap();
    incoming.write(b"wrong").unwrap();
    let error = soon(replica.store.accept(incoming)).await.unwrap_err();
    assert!(matches!(error, StoreError::WrongBytes { .. }), "{error}");
    assert!(!s3.object(&blob(&digest)).exists());

    let mut incoming = replica.store.incoming(digest).await.unwrap();
    let error = incoming.write(b"longer").unwrap_err();
    assert!(matches!(error, StoreError::WrongBytes { .. }), "{error}");
}

/// What an object store says of an object it says without reading it.
#[tokio::test(flavor = "multi_thread")]
async fn damage_that_no_answer_shows_is_found_by_comparing() {
    let s3 = S3Server::start();
    let replica = Replica::of(&s3);
    let contents = [
        noise(1, 100),
        noise(2, 9 << 20),
        noise(3, 1 << 20),
        Vec::new(),
    ];
    let mut digests = Vec::new();
    for content in &contents {
        let put = replica.store.put_bytes(content.clone());
        digests.push(soon(put).await.unwrap());
    }
    let never = Digest::of(b"never stored");
    digests.push(never);
    assert_eq!(
        soon(replica.store.unsound(digests.clone())).await.unwrap(),
        [never]
    );
    for index in [0, 1] {
        let mut damaged = contents[index].clone();
        damaged[50] ^= 1;
        overwrite(&s3.object(&blob(&digests[index])), &damaged);
    }
    // The first one has compared them a moment ago, and nothing that it hears tells them from what they were.
    let next = Replica::of(&s3);
    assert_eq!(
        soon(next.store.missing(digests.clone())).await.unwrap(),
        [never]
    );
    let unsound = || soon(next.store.unsound(digests.clone()));
    assert_eq!(unsound().await.unwrap(), [digests[0], digests[1], never]);
    assert_eq!(s3.names("some/prefix/quarantine").len(), 2);
    // They are brought to the one that has not heard of it.
    for index in [0, 1] {
        let put = replica.store.put_bytes(contents[index].clone());
        soon(put).await.unwrap();
    }
    assert_eq!(unsound().await.unwrap(), [never], "they were stored again");
    let third = Replica::of(&s3);
    assert!(soon(third.store.read(digests[1])).await.unwrap() == contents[1]);
}
