//! What the HTTP port says of the farm.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gofarm_proto::v1;
use gofarm_proto::v1::leases_client::LeasesClient;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
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

/// A redis-server. Killed when it is dropped.
pub struct Redis(Child, pub u16);

impl Redis {
    #[allow(clippy::disallowed_methods, reason = "the one place that starts it")]
    pub fn start() -> Redis {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let child = Command::new("redis-server")
            .args([
                "--port",
                &port.to_string(),
                "--save",
                "",
                "--bind",
                "127.0.0.1",
            ])
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server; ./test installs it");
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < LIMIT);
            std::thread::sleep(Duration::from_millis(5));
        }
        Redis(child, port)
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id().try_into().unwrap()), signal).unwrap();
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn it_is_ready_while_redis_answers() {
    let redis = Redis::start();
    let scheduler = Scheduler::start(&["--redis", &format!("redis://127.0.0.1:{}", redis.1)]);
    assert_eq!(scheduler.get("/readyz", None).0, 200);
    redis.signal(Signal::SIGSTOP);
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
    redis.signal(Signal::SIGCONT);
    until(200);
}
