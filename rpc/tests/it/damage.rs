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

#[tokio::test(flavor = "multi_thread")]
async fn what_the_farm_has_is_compared_for_whoever_will_not_be_there() {
    let farm = Farm::start().await;
    let contents: Vec<Vec<u8>> = [100, 3 << 20, 2000]
        .iter()
        .enumerate()
        .map(|(seed, size)| noise(seed as u64, *size))
        .collect();
    let mut digests = Vec::new();
    for content in &contents {
        digests.push(farm.store.put_bytes(content.clone()).await.unwrap());
    }
    let client = farm.client();
    assert_eq!(client.unsound(&digests, soon()).await.unwrap(), []);
    for index in [1, 2] {
        spoil(farm.store.local(), &digests[index]);
    }
    assert_eq!(client.missing(&digests, soon()).await.unwrap(), []);
    let sources: Vec<(Digest, Source)> = digests
        .iter()
        .zip(&contents)
        .map(|(digest, content)| (*digest, Source::Bytes(content.clone().into())))
        .collect();
    let uploaded = client.upload_unsound(sources, soon(), &quietly).await;
    assert_eq!(uploaded.unwrap().blobs, 2);
    assert_eq!(client.unsound(&digests, soon()).await.unwrap(), []);
    for (digest, content) in digests.iter().zip(&contents) {
        assert!(farm.store.read(*digest).await.unwrap() == *content);
    }
}
