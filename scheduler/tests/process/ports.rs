//! What the HTTP port says of the farm.

use std::time::{Duration, Instant};

use gofarm_proto::v1;
use gofarm_proto::v1::leases_client::LeasesClient;
use gofarm_testkit::RedisServer;
use serde_json::Value;

use super::process::{LIMIT, Scheduler, acquire};

#[tokio::test]
async fn a_worker_that_shows_itself_is_listed() {
    let scheduler = Scheduler::start(&[]);
    let mut leases = LeasesClient::new(scheduler.channel().await);
    leases.acquire(acquire(Duration::ZERO)).await.unwrap();
    let begun = Instant::now();
    let worker = loop {
        let (status, body) = scheduler.get("/workers/w1", None);
        if status == 200 {
            break serde_json::from_str::<Value>(&body).unwrap();
        }
        assert!(status == 404 && begun.elapsed() < LIMIT, "{status}: {body}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!(
        (&worker["pool"], &worker["slots"]),
        (&"default".into(), &2.into())
    );
    let (_, queues) = scheduler.get("/queues", None);
    let queues: Value = serde_json::from_str(&queues).unwrap();
    assert_eq!(queues["pools"]["default"]["slots"], 2, "{queues}");
}

#[tokio::test]
async fn calls_and_their_bytes_are_counted() {
    let scheduler = Scheduler::start(&[]);
    let mut blobs = v1::blobs_client::BlobsClient::new(scheduler.channel().await);
    let data = vec![7; 100_000];
    let blob = v1::Blob {
        digest: Some(gofarm_proto::Digest::of(&data).into()),
        data: data.into(),
        zstd: false,
    };
    let request = v1::BatchWriteRequest { blobs: vec![blob] };
    let answer = blobs.batch_write(request).await.unwrap().into_inner();
    assert_eq!(answer.refused, []);
    let (_, text) = scheduler.get("/metrics", None);
    let count = r#"gofarm_rpc_seconds_count{method="gofarm.v1.Blobs/BatchWrite",code="Ok"} 1"#;
    assert!(text.contains(count), "{text}");
    let received = text
        .lines()
        .find_map(|line| line.strip_prefix(r#"gofarm_rpc_bytes_total{direction="in"} "#));
    assert!(
        received.unwrap().parse::<u64>().unwrap() > 100_000,
        "{received:?}"
    );
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn it_is_ready_while_redis_answers() {
    let redis = RedisServer::on_port();
    let scheduler = Scheduler::start(&["--redis", &redis.url(0)]);
    assert_eq!(scheduler.get("/readyz", None).0, 200);
    redis.signal("STOP");
    let until = |wanted: u16| {
        let begun = Instant::now();
        loop {
            let (status, body) = scheduler.get("/readyz", None);
            if status == wanted {
                return serde_json::from_str::<Value>(&body).unwrap();
            }
            assert!(begun.elapsed() < LIMIT, "{body}");
        }
    };
    let report = until(503);
    assert_ne!(report["checks"]["queue"], "ok", "{report}");
    assert_eq!(report["checks"]["store"], "ok", "{report}");
    assert_eq!(scheduler.get("/healthz", None).0, 200);
    redis.signal("CONT");
    until(200);
}
