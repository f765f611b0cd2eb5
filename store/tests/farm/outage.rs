//! An object store that is away for a while, or does not know us.

use std::time::Duration;

use gofarm_proto::{ActionKey, Digest};
use gofarm_store::{DiskStore, DiskStoreOptions, ErrorClass, FarmStore};
use gofarm_testkit::S3Server;

use crate::replica::{Replica, noise, soon};

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_object_store_is_waited_out() {
    let mut s3 = S3Server::start();
    let replica = Replica::of(&s3);
    let content = noise(1, 9 << 20);
    s3.stop();
    let store = replica.store.clone();
    let sent = content.clone();
    let put = tokio::spawn(async move { store.put_bytes(sent).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!put.is_finished());
    assert!(s3.resume());
    let digest = soon(put).await.unwrap().unwrap();
    assert!(soon(Replica::of(&s3).store.read(digest)).await.unwrap() == content);
}

/// A replica that gives these for its keys.
fn with_keys(
    s3: &S3Server,
    url: &str,
    folder: &std::path::Path,
    id: &str,
    secret: &str,
) -> FarmStore {
    let local = DiskStore::open(folder, DiskStoreOptions::default()).unwrap();
    let endpoint = s3.endpoint();
    let settings = [
        ("aws_access_key_id", id),
        ("aws_secret_access_key", secret),
        ("aws_endpoint", endpoint.as_str()),
    ];
    FarmStore::open_with(url, local, settings).unwrap()
}

#[tokio::test]
async fn wrong_keys_are_an_error_that_names_the_object() {
    let s3 = S3Server::start();
    let folder = tempfile::tempdir().unwrap();
    let id = S3Server::credentials()[0].1;
    let store = with_keys(&s3, "s3://farm", folder.path(), id, "nothing");
    let error = soon(store.action(ActionKey([7; 32]))).await.unwrap_err();
    assert!(!error.is_lost_blob());
    assert_eq!(error.class(), ErrorClass::Environment);
    let text = error.to_string();
    let name = "cannot read s3://farm/actions/07/0707";
    assert!(text.starts_with(name), "{text}");
    let error = soon(store.put_bytes(b"x".to_vec())).await.unwrap_err();
    let name = format!("s3://farm/cas/{}", &Digest::of(b"x").hex()[..2]);
    assert!(error.to_string().contains(&name), "{error}");
}

/// An object store may answer "not found" where it means "not you" or "no such bucket".
#[tokio::test]
async fn a_check_tells_an_empty_store_from_none() {
    let s3 = S3Server::start();
    let [(_, id), (_, secret), _] = S3Server::credentials();
    for (url, id, good) in [
        ("s3://farm/a", id, true),
        ("s3://farm/a", id, true),
        ("s3://farm/a", "nobody", false),
        ("s3://elsewhere/a", id, false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let checked = soon(with_keys(&s3, url, folder.path(), id, secret).check()).await;
        assert_eq!(checked.is_ok(), good, "{url} {id}: {checked:?}");
    }
    let format = s3.object("a/format");
    std::fs::write(format, "gofarm store 99\n").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let checked = soon(with_keys(&s3, "s3://farm/a", folder.path(), id, secret).check()).await;
    let text = checked.unwrap_err().to_string();
    assert!(text.contains("gofarm store 99"), "{text}");
}
