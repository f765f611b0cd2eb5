//! Blobs that are read once and kept nowhere.

use std::time::Duration;

use gofarm_proto::Digest;
use gofarm_rpc::{BlobClient, PieceError};

use crate::farm::{Farm, client, noise, packing_client, spoil};
use crate::proxy::Proxy;

/// Waited for only when a test fails.
const LONG: Duration = Duration::from_secs(60);

/// What is read of a blob, and what it ends with.
async fn read(client: &BlobClient, digest: Digest) -> (Vec<u8>, Result<(), PieceError>) {
    let mut pieces = client.pieces(digest, LONG);
    let mut read = Vec::new();
    loop {
        match pieces.next().await {
            Ok(Some(piece)) => {
                assert!(!piece.is_empty() && piece.len() <= 1 << 20);
                read.extend_from_slice(&piece);
            }
            Ok(None) => break,
            Err(error) => return (read, Err(error)),
        }
    }
    assert!(pieces.next().await.unwrap().is_none());
    (read, Ok(()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_of_any_size_is_read_through_broken_connections() {
    let farm = Farm::start().await;
    for size in [0, 1, 1 << 20, (5 << 20) + 7] {
        let content = noise(3, size);
        let digest = farm.store.put_bytes(content.clone()).await.unwrap();
        let proxy = Proxy::to(farm.address, &[1 << 20, 2 << 20]).await;
        for client in [client(proxy.address), packing_client(proxy.address)] {
            let (read, end) = read(&client, digest).await;
            end.unwrap();
            assert!(read == content, "{size}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_is_gone_or_damaged_is_told_from_one_that_is_there() {
    let farm = Farm::start().await;
    let client = farm.client();
    let nobodys = Digest::of(b"nobody's");
    let (text, end) = read(&client, nobodys).await;
    assert!(text.is_empty());
    assert!(matches!(end, Err(PieceError::Lost(digest)) if digest == nobodys));

    let content = noise(5, 3 << 20);
    let digest = farm.store.put_bytes(content.clone()).await.unwrap();
    spoil(farm.store.local(), &digest);
    let (text, end) = read(&client, digest).await;
    // The last piece, with which the damage is known, is not handed out.
    assert!(text.len() < content.len() && content.starts_with(&text));
    assert!(matches!(end, Err(PieceError::Damaged(_))), "{end:?}");
    // By now it is set aside.
    let (text, end) = read(&client, digest).await;
    assert!(text.is_empty());
    assert!(matches!(end, Err(PieceError::Lost(_))), "{end:?}");
}

/// The farm has a blob of that hash, and it is shorter than is said.
#[tokio::test(flavor = "multi_thread")]
async fn a_size_that_is_not_the_blobs_is_that_of_no_blob() {
    let farm = Farm::start().await;
    let digest = farm.store.put_bytes(noise(7, 100_000)).await.unwrap();
    for size in [digest.size - 1, digest.size + 1, u64::MAX] {
        let claimed = Digest { size, ..digest };
        let (text, end) = read(&farm.client(), claimed).await;
        assert!(text.is_empty());
        assert!(matches!(end, Err(PieceError::Lost(_))), "{end:?}");
    }
    assert_eq!(farm.store.missing(vec![digest]).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_farm_that_says_nothing_is_given_up() {
    // Takes connections and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(silent.local_addr().unwrap());
    let mut pieces = client.pieces(Digest::of(b"x"), Duration::from_millis(300));
    let error = pieces.next().await.unwrap_err();
    match error {
        PieceError::Rpc(error) => assert!(error.is_transient(), "{error}"),
        error => panic!("{error:?}"),
    }
}
