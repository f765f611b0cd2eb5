//! How it ends.

use std::time::{Duration, Instant};

use gofarm_proto::v1::leases_client::LeasesClient;
use nix::sys::signal::Signal;

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
