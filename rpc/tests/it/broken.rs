//! Connections that break.

use std::time::Duration;

use gofarm_proto::Digest;
use gofarm_rpc::Source;
use tokio::time::Instant;

use crate::farm::{Farm, client, noise, packing_client, quietly, soon, store};
use crate::proxy::Proxy;

const SIZE: usize = 30 << 20;

/// What a transfer may cost beyond the blob itself: what was under way when the connection broke.
const SLACK: u64 = 10 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_on_where_it_broke_off() {
    let farm = Farm::start().await;
    let content = noise(1, SIZE);
    let digest = Digest::of(&content);
    for zstd in [false, true] {
        let proxy = Proxy::to(farm.address, &[12 << 20, 8 << 20]).await;
        let client = if zstd {
            packing_client(proxy.address)
        } else {
            client(proxy.address)
        };
        let source = Source::Bytes(content.clone().into());
        let uploaded = client.upload([(digest, source)], soon(), &quietly).await;
        assert_eq!(uploaded.unwrap().blobs, 1);
        assert_eq!(proxy.connections(), 3);
        assert!(proxy.bytes() < SIZE as u64 + SLACK, "{}", proxy.bytes());
        assert!(farm.store.read(digest).await.unwrap() == content);
        std::fs::remove_file(farm.store.local().path(&digest)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_goes_on_where_it_broke_off() {
    let farm = Farm::start().await;
    let content = noise(1, SIZE);
    let digest = farm.store.put_bytes(content.clone()).await.unwrap();
    let proxy = Proxy::to(farm.address, &[12 << 20, 8 << 20]).await;
    let (local, _folder) = store();
    let client = client(proxy.address);
    let lacking = client.download(&[digest], &local, soon(), &quietly).await;
    assert_eq!(lacking.unwrap(), []);
    assert_eq!(proxy.connections(), 3);
    assert!(proxy.bytes() < SIZE as u64 + SLACK, "{}", proxy.bytes());
    assert!(local.read(&digest).unwrap() == content);
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_outlive_broken_connections() {
    let farm = Farm::start().await;
    // Within the question, within the bytes, within the answer to a question.
    let proxy = Proxy::to(farm.address, &[3_000, 2 << 20, 100]).await;
    let client = client(proxy.address);
    let contents: Vec<Vec<u8>> = (0..300).map(|i| noise(i, 20_000)).collect();
    let digests: Vec<Digest> = contents.iter().map(|content| Digest::of(content)).collect();
    let sources = digests
        .iter()
        .zip(&contents)
        .map(|(digest, content)| (*digest, Source::Bytes(content.clone().into())));
    client.upload(sources, soon(), &quietly).await.unwrap();
    assert_eq!(proxy.connections(), 4);
    assert_eq!(farm.store.missing(digests).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_farm_is_waited_for() {
    let farm = Farm::start().await;
    let digest = farm.store.put_bytes(noise(1, 3 << 20)).await.unwrap();
    // Each connection breaks at once for a while.
    let proxy = Proxy::to(farm.address, &[1; 5]).await;
    let (local, _folder) = store();
    let client = client(proxy.address);
    let lacking = client.download(&[digest], &local, soon(), &quietly).await;
    assert_eq!(lacking.unwrap(), []);
    assert!(local.contains(&digest));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_waited_for_beyond_the_deadline() {
    // Takes connections and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(silent.local_addr().unwrap());
    let content = noise(1, 2 << 20);
    let digest = Digest::of(&content);
    let (local, _folder) = store();
    let began = Instant::now();
    let deadline = began + Duration::from_millis(300);
    let wanted = [digest];
    let download = client.download(&wanted, &local, deadline, &quietly);
    let error = download.await.unwrap_err();
    assert!(error.is_unreachable(), "{error}");
    let source = Source::Bytes(content.into());
    let deadline = Instant::now() + Duration::from_millis(300);
    let upload = client.upload([(digest, source)], deadline, &quietly);
    assert!(upload.await.unwrap_err().is_unreachable());
    assert!(began.elapsed() < Duration::from_secs(5));
}
