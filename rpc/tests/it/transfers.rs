//! What goes well.

use std::sync::Mutex;

use futures::future::join_all;
use gofarm_proto::Digest;
use gofarm_rpc::{BlobClient, Progress, Source, Uploaded};

use crate::farm::{Farm, client, noise, packing_client, quietly, soon, store};
use crate::proxy::Proxy;

const MB: usize = 1 << 20;

fn sourced(content: &[u8]) -> (Digest, Source) {
    (Digest::of(content), Source::Bytes(content.to_vec().into()))
}

/// Up, up again, and down to an empty store.
async fn there_and_back(client: &BlobClient, small: u64, large: usize) {
    let mut contents: Vec<Vec<u8>> = (0..small)
        .map(|i| noise(i, usize::try_from(i * 7).unwrap()))
        .collect();
    contents.push(vec![7; MB + 1]);
    contents.push(noise(1, large));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("large");
    std::fs::write(&file, contents.last().unwrap()).unwrap();
    let mut sources: Vec<_> = contents.iter().map(|content| sourced(content)).collect();
    sources.last_mut().unwrap().1 = Source::File(file);
    let digests: Vec<Digest> = sources.iter().map(|(digest, _)| *digest).collect();

    let seen = Mutex::new(Vec::new());
    let tell = |progress: Progress| seen.lock().unwrap().push(progress);
    let uploaded = client.upload(sources.clone(), soon(), &tell).await.unwrap();
    let bytes = contents.iter().map(|content| content.len() as u64).sum();
    let blobs = small + 2;
    assert_eq!(uploaded, Uploaded { blobs, bytes });
    let again = client.upload(sources, soon(), &quietly).await.unwrap();
    assert_eq!(again, Uploaded::default());

    let (local, _folder) = store();
    let lacking = client.download(&digests, &local, soon(), &tell).await;
    assert_eq!(lacking.unwrap(), []);
    for (digest, content) in digests.iter().zip(&contents) {
        assert!(local.read(digest).unwrap() == *content);
    }
    let seen = seen.into_inner().unwrap();
    assert!(seen.iter().all(|p| p.done <= bytes && p.total == bytes));
    assert_eq!(seen.iter().filter(|p| p.done == bytes).count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_blobs_and_a_large_one_come_back_as_they_went() {
    let farm = Farm::start().await;
    there_and_back(&farm.client(), 1_500, 50 * MB + 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_blobs_come_back_as_they_went() {
    let farm = Farm::start().await;
    there_and_back(&packing_client(farm.address), 300, 5 * MB + 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_compresses_costs_less_on_the_wire() {
    let farm = Farm::start().await;
    let proxy = Proxy::to(farm.address, &[]).await;
    let contents: Vec<Vec<u8>> = vec![vec![1; 5 * MB], vec![2; MB], vec![3; MB]];
    let sources = contents.iter().map(|content| sourced(content));
    let client = packing_client(proxy.address);
    client.upload(sources, soon(), &quietly).await.unwrap();
    let (local, _folder) = store();
    let digests: Vec<Digest> = contents.iter().map(|content| Digest::of(content)).collect();
    let lacking = client.download(&digests, &local, soon(), &quietly).await;
    assert_eq!(lacking.unwrap(), []);
    assert!(proxy.bytes() < 200_000, "{}", proxy.bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_farm_lacks_is_named() {
    let farm = Farm::start().await;
    let client = farm.client();
    let small = farm.store.put_bytes(b"here".to_vec()).await.unwrap();
    let large = farm.store.put_bytes(noise(1, 2 * MB)).await.unwrap();
    let absent = Digest::of(b"absent");
    let absent_and_large = Digest {
        size: 3 << 20,
        ..Digest::of(b"also")
    };
    let asked = [absent, small, large, absent_and_large, absent];
    let (local, _folder) = store();
    let mut lacking = client
        .download(&asked, &local, soon(), &quietly)
        .await
        .unwrap();
    lacking.sort_by_key(|digest| digest.size);
    assert_eq!(lacking, [absent, absent_and_large]);
    assert!(local.contains(&small) && local.contains(&large));
}

#[tokio::test(flavor = "multi_thread")]
async fn downloads_of_one_blob_are_joined() {
    let farm = Farm::start().await;
    let proxy = Proxy::to(farm.address, &[]).await;
    let client = client(proxy.address);
    let large = farm.store.put_bytes(noise(1, 5 * MB)).await.unwrap();
    let small = farm.store.put_bytes(noise(2, MB)).await.unwrap();
    let absent = Digest::of(b"absent");
    let (local, _folder) = store();
    let wanted = [small, large, absent];
    let calls = (0..10).map(|_| client.download(&wanted, &local, soon(), &quietly));
    for lacking in join_all(calls).await {
        assert_eq!(lacking.unwrap(), [absent]);
    }
    assert!(proxy.bytes() < 7 << 20, "{}", proxy.bytes());

    // A call that is given up leaves its blobs to the others.
    let (local, _folder) = store();
    let mut given_up = Box::pin(client.download(&wanted, &local, soon(), &quietly));
    let mut other = Box::pin(client.download(&wanted, &local, soon(), &quietly));
    let early = tokio::select! {
        biased;
        lacking = &mut given_up => lacking.is_ok(),
        lacking = &mut other => lacking.is_ok(),
        () = tokio::time::sleep(std::time::Duration::from_millis(1)) => false,
    };
    drop(given_up);
    if !early {
        assert_eq!(other.await.unwrap(), [absent]);
    }
    assert!(local.contains(&large) || early);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_digests_are_one_question() {
    let farm = Farm::start().await;
    let client = farm.client();
    let there = farm.store.put_bytes(b"there".to_vec()).await.unwrap();
    let mut asked: Vec<Digest> = (0..25_000_u32)
        .map(|i| Digest::of(&i.to_le_bytes()))
        .collect();
    asked.insert(12_345, there);
    let missing = client.missing(&asked, soon()).await.unwrap();
    asked.remove(12_345);
    assert_eq!(missing, asked);
}
