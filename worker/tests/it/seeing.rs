//! What an operator sees of a build: a real engine, a real worker process, and a collector of spans.

use std::sync::Arc;
use std::time::Duration;

use gofarm_daemon::{Place, Spans};
use gofarm_proto::v1::builds_client::BuildsClient;
use gofarm_proto::v1::builds_server::BuildsServer;
use gofarm_proto::{ActionKey, Digest, Message, v1};
use gofarm_queue::{InProcessQueue, MonotonicClock, QueueOptions};
use gofarm_scheduler::blobs::{BlobsService, Presence};
use gofarm_scheduler::builds::BuildsService;
use gofarm_scheduler::engine::{EngineHandle, Observers, ReplicaOptions};
use gofarm_scheduler::leases::LeasesService;
use gofarm_scheduler::registry::{MemoryRegistry, Registry};
use gofarm_store::{DiskStore, DiskStoreOptions, FarmStore};
use gofarm_testkit::{Collector, TakenSpan};
use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;

use crate::farm::{host_action, known, output, sh};
use crate::program::Worker;
use crate::remote_farm::{PLATFORM, Table};

/// A scheduler in this process, with an engine.
struct Scheduler {
    url: String,
    store: FarmStore,
    serving: JoinHandle<()>,
    _folder: TempDir,
}

impl Scheduler {
    async fn start(spans: Spans) -> Scheduler {
        let folder = tempfile::tempdir().unwrap();
        let local = DiskStore::open(folder.path(), DiskStoreOptions::default()).unwrap();
        let store = FarmStore::on_disk(local);
        let queue = Arc::new(InProcessQueue::new(
            QueueOptions::default(),
            Arc::new(MonotonicClock::new()),
            Arc::new(Presence::new(store.clone())),
        ));
        let registry: Arc<dyn Registry> = Arc::new(MemoryRegistry::new());
        let options = ReplicaOptions {
            observers: Observers {
                spans: spans.clone(),
                ..Observers::default()
            },
            ..ReplicaOptions::new("replica")
        };
        let engine = EngineHandle::start(options, queue.clone(), registry, store.clone());
        let (table, closing) = (Arc::new(Table::default()), CancellationToken::new());
        let leases = LeasesService::new(queue, store.clone(), table, closing).with_spans(spans);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serve = tonic::transport::Server::builder()
            .add_service(leases.into_server())
            .add_service(BlobsService::new(store.clone()).into_server())
            .add_service(BuildsServer::new(BuildsService::new(engine)))
            .serve_with_incoming(TcpListenerStream::new(listener));
        Scheduler {
            url,
            store,
            serving: tokio::spawn(async move { serve.await.unwrap() }),
            _folder: folder,
        }
    }

    /// Builds one action to its end.
    async fn build(&self, id: &str, action: &v1::Action) -> (ActionKey, v1::BuildFinished) {
        let definition = self.put(action.encode_to_vec()).await;
        let (os, arch) = PLATFORM.split_once('/').unwrap();
        let node = v1::Node {
            action: Some(definition.into()),
            label: action.label.clone(),
            kind: v1::Kind::Compile.into(),
            package: "p".to_owned(),
            requested: true,
            platform: Some(v1::Platform {
                os: os.to_owned(),
                arch: arch.to_owned(),
                ..v1::Platform::default()
            }),
            ..v1::Node::default()
        };
        let graph = v1::Graph { nodes: vec![node] };
        let request = v1::SubmitRequest {
            build: id.to_owned(),
            graph: Some(self.put(graph.encode_to_vec()).await.into()),
            options: None,
        };
        let mut builds = BuildsClient::connect(self.url.clone()).await.unwrap();
        builds.submit(request).await.unwrap();
        let request = v1::WatchRequest {
            build: id.to_owned(),
            ..v1::WatchRequest::default()
        };
        let mut events = builds.watch(request).await.unwrap().into_inner();
        loop {
            let some = events.message().await.unwrap().unwrap();
            for event in some.events {
                if let Some(v1::build_event::Event::Finished(finished)) = event.event {
                    return (ActionKey::new(&definition, []), finished);
                }
            }
        }
    }

    async fn put(&self, data: Vec<u8>) -> Digest {
        self.store.put_bytes(data).await.unwrap()
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn copies(label: &str, input: Digest) -> v1::Action {
    v1::Action {
        label: label.to_owned(),
        inputs: vec![known("/__gofarm__/w/in", input)],
        outputs: vec![output("out", "/__gofarm__/w/out")],
        ..host_action(vec![sh("sleep 0.05; cp in out")])
    }
}

fn place(taken: &TakenSpan) -> Place {
    let (trace, span) = taken.ids();
    Place { trace, span }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_goes_from_the_build_to_the_tools() {
    let collector = Collector::start().await;
    let spans = Spans::to(&collector.url, "gofarm-scheduler", "replica").unwrap();
    let scheduler = Scheduler::start(spans.clone()).await;
    let cache = tempfile::tempdir().unwrap();
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.url);
    let worker = Worker::with(&scheduler.url, cache.path(), &["--name", "w7"], &[endpoint]);
    let id = "5b0d6c3e2f1a4d7f9c8b7a6958473625";
    let trace = u128::from_str_radix(id, 16).unwrap();
    let input = scheduler.put(b"hello".to_vec()).await;
    let (key, finished) = scheduler.build(id, &copies("copy hello", input)).await;
    assert_eq!(finished.result(), v1::BuildResult::Succeeded);
    // What is left is sent when they end.
    worker.signal(Signal::SIGTERM);
    let (code, log) = worker.end().await;
    assert_eq!(code, Some(0), "{log}");
    for message in ["leased", "reported"] {
        let line = log.lines().find(|line| line.contains(message)).unwrap();
        for field in [
            &format!("\"build\":\"{id}\""),
            "\"worker\":\"w7\"",
            "\"action\":\"copy hello\"",
            "\"lease\":",
        ] {
            assert!(line.contains(field), "{field}: {line}");
        }
    }
    spans.shutdown(Duration::from_secs(20)).await;

    let build = collector.one("build").await;
    assert_eq!(place(&build), Place::of_build(trace));
    let action = collector.one("action").await;
    assert_eq!(place(&action), Place::of_action(trace, &key));
    assert!(action.is_within(&build), "{build:?} {action:?}");
    assert_eq!(action.attributes()["gofarm.worker"], "w7");
    let mut parts = Vec::new();
    for (name, program) in [
        ("queue", "gofarm-scheduler"),
        ("fetch", "gofarm-worker"),
        ("stage", "gofarm-worker"),
        ("run", "gofarm-worker"),
        ("upload", "gofarm-worker"),
    ] {
        let part = collector.one(name).await;
        assert_eq!(part.program(), program, "{name}");
        assert!(part.is_within(&action), "{action:?} {part:?}");
        assert_eq!(part.attributes()["gofarm.attempt"], "1");
        assert_eq!(collector.named(name).len(), 1, "{name}");
        parts.push(part);
    }
    for pair in parts[1..].windows(2) {
        let (one, next) = (&pair[0].span, &pair[1].span);
        assert!(
            one.end_time_unix_nano <= next.start_time_unix_nano,
            "{pair:?}"
        );
    }
    let [.., run, upload] = &parts[..] else {
        panic!("{parts:?}");
    };
    let took = run.span.end_time_unix_nano - run.span.start_time_unix_nano;
    assert!(took >= 50_000_000, "{run:?}");
    assert_eq!(upload.attributes()["gofarm.output_bytes"], "5");
    assert_eq!(upload.attributes()["gofarm.worker"], "w7");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_holds_nothing_up() {
    // Taken and not served.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", port.local_addr().unwrap());
    drop(port);
    let spans = Spans::to(&url, "gofarm-scheduler", "replica").unwrap();
    let scheduler = Scheduler::start(spans).await;
    let cache = tempfile::tempdir().unwrap();
    let env = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*url),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
    ];
    let worker = Worker::with(&scheduler.url, cache.path(), &[], &env);
    for number in 1..4 {
        let input = scheduler.put(vec![number]).await;
        let id = format!("{number:032x}");
        let (_, finished) = scheduler.build(&id, &copies("copy", input)).await;
        assert_eq!(finished.result(), v1::BuildResult::Succeeded);
    }
    worker.signal(Signal::SIGTERM);
    let (code, log) = worker.end().await;
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(log.matches("takes no spans").count(), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_endpoint_nothing_is_sent_or_said() {
    let collector = Collector::start().await;
    let spans = Spans::to(&collector.url, "gofarm-scheduler", "replica").unwrap();
    let scheduler = Scheduler::start(spans.clone()).await;
    let cache = tempfile::tempdir().unwrap();
    let worker = Worker::with(&scheduler.url, cache.path(), &[], &[]);
    let action = v1::Action {
        label: "fails".to_owned(),
        ..host_action(vec![sh("exit 3")])
    };
    let (_, finished) = scheduler.build(&format!("{:032x}", 9), &action).await;
    assert_eq!(finished.result(), v1::BuildResult::Failed);
    worker.signal(Signal::SIGTERM);
    let (code, log) = worker.end().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("spans"), "{log}");
    spans.shutdown(Duration::from_secs(20)).await;
    assert_eq!(collector.named("run").len(), 0);
    let action = collector.one("action").await;
    assert_eq!(action.attributes()["gofarm.how"], "failed");
}
