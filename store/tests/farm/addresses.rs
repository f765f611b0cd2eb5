//! What may be written for a store.

use gofarm_store::{DiskStore, DiskStoreOptions, ErrorClass, FarmStore};

#[tokio::test]
async fn an_address_that_cannot_be_used_says_what_would_do() {
    let folder = tempfile::tempdir().unwrap();
    let local = DiskStore::open(folder.path(), DiskStoreOptions::default()).unwrap();
    for url in [
        "",
        "/var/lib/gofarm",
        "file://relative",
        "ftp://x/y",
        "s3://",
        "s3:///prefix",
        "s3://bucket//a//b",
        "az://container/without-account",
    ] {
        let error = FarmStore::open(url, local.clone()).unwrap_err();
        assert_eq!(error.class(), ErrorClass::User, "{url}");
        let text = error.to_string();
        assert!(text.contains(&format!("{url:?}")), "{text}");
        assert!(text.contains("s3://bucket/prefix"), "{text}");
    }
}

#[tokio::test]
async fn every_kind_of_object_store_can_be_named() {
    let folder = tempfile::tempdir().unwrap();
    let local = DiskStore::open(folder.path(), DiskStoreOptions::default()).unwrap();
    for (url, settings) in [
        ("s3://bucket", vec![("aws_region", "eu-central-1")]),
        ("s3://bucket/a/b/", vec![]),
        (
            "gs://bucket/prefix",
            vec![("google_skip_signature", "true")],
        ),
        (
            "az://container/prefix",
            vec![("azure_storage_account_name", "account")],
        ),
    ] {
        let opened = FarmStore::open_with(url, local.clone(), settings);
        assert!(opened.is_ok(), "{url}: {opened:?}");
    }
}
