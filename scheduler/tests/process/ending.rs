//! How it ends.

use std::time::{Duration, Instant};

use gofarm_proto::v1::blobs_client::BlobsClient;
use gofarm_proto::v1::leases_client::LeasesClient;
use gofarm_proto::{Digest, v1};
use nix::sys::signal::Signal;
use tokio_stream::wrappers::ReceiverStream;

use super::process::{Scheduler, acquire};

#[test]
fn told_to_end_it_ends_well() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut scheduler = Scheduler::start(&[]);
        scheduler.signal(signal);
        assert_eq!(scheduler.wait().code(), Some(0), "{signal}");
    }
}

#[tokio::test]
async fn told_a_second_time_it_ends_at_once() {
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130)] {
        let mut scheduler = Scheduler::start(&["--drain-timeout=600s"]);
        // A call that goes on for as long as it is let.
        let mut blobs = BlobsClient::new(scheduler.channel().await);
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        let header = v1::WriteHeader {
            digest: Some(Digest::of(b"two words").into()),
            upload: "u".to_owned(),
            offset: 0,
        };
        let first = v1::WriteRequest {
            header: Some(header),
            data: b"two".as_slice().into(),
            ..v1::WriteRequest::default()
        };
        sender.send(first).await.unwrap();
        let stream = ReceiverStream::new(receiver);
        let call = tokio::spawn(async move { blobs.write(stream).await });
        until_uploading(&scheduler).await;
        scheduler.signal(signal);
        scheduler.until_said("told to end");
        scheduler.signal(signal);
        assert_eq!(scheduler.wait().code(), Some(code), "{signal}");
        assert!(call.await.unwrap().is_err());
        drop(sender);
    }
}

/// Waits until the scheduler has the first bytes of upload `u`.
async fn until_uploading(scheduler: &Scheduler) {
    let mut blobs = BlobsClient::new(scheduler.channel().await);
    loop {
        let query = v1::QueryWriteRequest {
            digest: Some(Digest::of(b"two words").into()),
            upload: "u".to_owned(),
        };
        if blobs
            .query_write(query)
            .await
            .unwrap()
            .into_inner()
            .committed
            == 3
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn waiting_workers_are_answered_and_sent_elsewhere() {
    let mut scheduler = Scheduler::start(&[]);
    let mut leases = LeasesClient::new(scheduler.channel().await);
    let begun = Instant::now();
    let waiting = tokio::spawn(async move {
        let answer = leases.acquire(acquire(Duration::from_secs(60))).await;
        answer.map(|answer| answer.into_inner().leases.len())
    });
    // It counts as waiting once it is listed.
    while scheduler.get("/workers/w1", None).0 != 200 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    scheduler.signal(Signal::SIGTERM);
    assert_eq!(waiting.await.unwrap().unwrap(), 0);
    assert_eq!(scheduler.wait().code(), Some(0));
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
}
