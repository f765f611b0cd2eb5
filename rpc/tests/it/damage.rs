//! Blobs that are not what they should be, at either end.

use gofarm_proto::Digest;
use gofarm_rpc::{BlobError, Source};
use gofarm_store::ErrorClass;

use crate::farm::{Farm, noise, quietly, soon, spoil, store};

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_the_farm_finds_damaged_is_lacking() {
    let farm = Farm::start().await;
    let (local, _folder) = store();
    let mut digests = Vec::new();
    for size in [100, 3 << 20] {
        let digest = farm.store.put_bytes(noise(1, size)).await.unwrap();
        spoil(farm.store.local(), &digest);
        digests.push(digest);
    }
    let good = farm.store.put_bytes(b"good".to_vec()).await.unwrap();
    digests.push(good);
    let client = farm.client();
    let mut lacking = client
        .download(&digests, &local, soon(), &quietly)
        .await
        .unwrap();
    lacking.sort_by_key(|digest| digest.size);
    assert_eq!(lacking, digests[..2]);
    assert!(local.contains(&good));
    assert_eq!(farm.store.found_damage().blobs, 2);

    // Made again, it is taken again.
    let content = noise(1, 3 << 20);
    let source = Source::Bytes(content.clone().into());
    let uploaded = client
        .upload([(digests[1], source)], soon(), &quietly)
        .await;
    assert_eq!(uploaded.unwrap().blobs, 1);
    let lacking = client
        .download(&digests[1..], &local, soon(), &quietly)
        .await;
    assert_eq!(lacking.unwrap(), []);
    assert!(local.read(&digests[1]).unwrap() == content);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_changed_is_named() {
    let farm = Farm::start().await;
    let folder = tempfile::tempdir().unwrap();
    for size in [100, 3 << 20] {
        let file = folder.path().join(format!("main-{size}.go"));
        let mut content = noise(1, size);
        let digest = Digest::of(&content);
        content[size - 1] ^= 1;
        std::fs::write(&file, &content).unwrap();
        let sources = [(digest, Source::File(file.clone()))];
        let upload = farm.client().upload(sources, soon(), &quietly).await;
        let error = upload.unwrap_err();
        assert!(matches!(error, BlobError::Changed { .. }), "{error}");
        assert_eq!(error.class(), ErrorClass::User);
        assert!(
            error.to_string().contains(file.to_str().unwrap()),
            "{error}"
        );
        assert_eq!(farm.store.missing(vec![digest]).await.unwrap(), [digest]);
    }
    let gone = folder.path().join("gone.go");
    let sources = [(Digest::of(b"gone"), Source::File(gone.clone()))];
    let error = farm.client().upload(sources, soon(), &quietly).await;
    let error = error.unwrap_err();
    assert!(matches!(error, BlobError::Unreadable { .. }), "{error}");
    assert!(
        error.to_string().contains(gone.to_str().unwrap()),
        "{error}"
    );
}
