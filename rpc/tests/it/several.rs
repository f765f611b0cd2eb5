//! Farms with several addresses.

use std::net::SocketAddr;
use std::time::Duration;

use gofarm_proto::Digest;
use gofarm_rpc::{BlobClient, ConnectOptions, Connection, Source};
use gofarm_store::{DiskStore, FarmStore};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::farm::{Farm, noise, quietly, soon, store};
use crate::proxy::Proxy;

/// Somebody who serves nothing.
async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

/// Both orders: which address is used first is drawn.
fn client(a: SocketAddr, b: SocketAddr) -> [BlobClient; 2] {
    [[a, b], [b, a]].map(|[a, b]| {
        let urls = format!("http://{a},http://{b}");
        BlobClient::new(Connection::connect(&urls, ConnectOptions::default()).unwrap())
    })
}

/// A client that uses this address now.
async fn client_at(here: SocketAddr, other: SocketAddr) -> BlobClient {
    loop {
        let urls = format!("http://{here},http://{other}");
        let connection = Connection::connect(&urls, ConnectOptions::default()).unwrap();
        let first = format!("{:?}", connection.place()) == "AddressIndex(0)";
        if first {
            return BlobClient::new(connection);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_nobody_is_at_costs_no_more_than_a_try() {
    let farm = Farm::start().await;
    for client in client(farm.address, nobody().await) {
        let began = Instant::now();
        let lacking = client.missing(&[Digest::of(b"x")], soon()).await.unwrap();
        assert_eq!(lacking.len(), 1);
        assert!(began.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_whose_replica_goes_away_is_finished_at_another() {
    // Two replicas of one store.
    let farm = Farm::start().await;
    let content = noise(7, 20 << 20);
    let digest = Digest::of(&content);
    // Broken off once, and then never again to be had.
    let first = Proxy::to(farm.address, &[5 << 20]).await;
    let client = client_at(first.address, farm.address).await;
    let source = Source::Bytes(content.clone().into());
    let uploaded = client.upload([(digest, source)], soon(), &quietly).await;
    assert_eq!(uploaded.unwrap().blobs, 1);
    assert_eq!(first.connections(), 1);
    assert!(farm.store.read(digest).await.unwrap() == content);

    let first = Proxy::to(farm.address, &[5 << 20]).await;
    let client = client_at(first.address, farm.address).await;
    let (local, _folder): (DiskStore, _) = store();
    let lacking = client.download(&[digest], &local, soon(), &quietly).await;
    assert_eq!(lacking.unwrap(), []);
    assert_eq!(first.connections(), 1);
    assert!(local.read(&digest).unwrap() == content);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_fail_together_turn_once() {
    let farm = Farm::start().await;
    let dead = nobody().await;
    let client = client_at(dead, farm.address).await;
    let wanted = [Digest::of(b"x")];
    let calls = (0..20).map(|_| client.missing(&wanted, soon()));
    for asked in futures::future::join_all(calls).await {
        assert_eq!(asked.unwrap().len(), 1);
    }
    assert_eq!(
        format!("{:?}", client.connection().place()),
        "AddressIndex(1)"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_address_is_come_back_to_when_it_serves_again() {
    let farm = Farm::start().await;
    let at = nobody().await;
    let client = client_at(at, farm.address).await;
    let wanted = [Digest::of(b"x")];
    client.missing(&wanted, soon()).await.unwrap();
    assert_eq!(
        format!("{:?}", client.connection().place()),
        "AddressIndex(1)"
    );
    let (local, _folder) = store();
    let service =
        gofarm_scheduler::blobs::BlobsService::new(FarmStore::on_disk(local)).into_server();
    let serving = tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(service)
            .serve(at),
    );
    let end = soon();
    while format!("{:?}", client.connection().place()) != "AddressIndex(0)" {
        assert!(Instant::now() < end, "it stays away");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    client.missing(&wanted, soon()).await.unwrap();
    serving.abort();
}
