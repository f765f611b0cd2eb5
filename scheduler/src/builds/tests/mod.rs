//! The services on a loopback port, two replicas over one Redis.

use std::sync::Arc;
use std::time::Duration;

use gofarm_proto::v1::builds_client::BuildsClient;
use gofarm_proto::v1::builds_server::{Builds as _, BuildsServer};
use gofarm_proto::v1::farm_client::FarmClient;
use gofarm_proto::v1::farm_server::FarmServer;
use gofarm_proto::{Digest, v1};
use tokio::task::JoinHandle;
use tonic::Code;
use tonic::transport::{Channel, Server};

use super::BuildsService;
use crate::engine::ReplicaOptions;
use crate::engine::tests::world::{World, finished, long_log, words};
use crate::farm::FarmService;
use crate::redis::RedisRegistry;
use crate::registry::{MemoryRegistry, Registry};
use gofarm_engine::core::BuildId;
use gofarm_testkit::RedisServer;

/// A replica that serves.
struct Replica {
    registry: Arc<dyn Registry>,
    builds: BuildsClient<Channel>,
    farm: FarmClient<Channel>,
    server: JoinHandle<()>,
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn replica(world: &World, redis: &RedisServer, name: &str) -> Replica {
    replica_with(world, redis, ReplicaOptions::new(name)).await
}

async fn replica_with(world: &World, redis: &RedisServer, options: ReplicaOptions) -> Replica {
    let registry = RedisRegistry::connect(redis.url(0), "test").unwrap();
    let registry: Arc<dyn Registry> = Arc::new(registry);
    let engine = world.engine_with(options, &registry);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let farm = FarmService::new(registry.clone());
    let server = Server::builder()
        .add_service(BuildsServer::new(BuildsService::new(engine)))
        .add_service(FarmServer::new(farm))
        .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener));
    let server = tokio::spawn(async move { server.await.unwrap() });
    let channel = Channel::from_shared(address)
        .unwrap()
        .connect()
        .await
        .unwrap();
    Replica {
        registry,
        builds: BuildsClient::new(channel.clone()),
        farm: FarmClient::new(channel),
        server,
    }
}

async fn watched(
    client: &mut BuildsClient<Channel>,
    after: u64,
    at_most: usize,
    without_logs: bool,
) -> Vec<v1::BuildEvent> {
    let request = v1::WatchRequest {
        build: BuildId(1).to_string(),
        after,
        without_logs,
    };
    let mut stream = client.watch(request).await.unwrap().into_inner();
    let mut events = Vec::new();
    while events.len() < at_most
        && let Some(response) = stream.message().await.unwrap()
    {
        events.extend(response.events);
    }
    events.truncate(at_most);
    events
}

fn id() -> String {
    BuildId(1).to_string()
}

#[tokio::test]
async fn a_build_is_submitted_here_and_watched_there() {
    let (world, redis) = (World::start(), RedisServer::start());
    let mut one = replica(&world, &redis, "a").await;
    let mut two = replica(&world, &redis, "b").await;
    let mut request = world.chain(1, &["one", "hold"]).await;
    request.options = Some(v1::BuildOptions {
        title: "./cmd/...".to_owned(),
        ..v1::BuildOptions::default()
    });
    let answer = one.builds.submit(request.clone()).await.unwrap();
    assert!(answer.into_inner().accepted);
    // The answer was lost; the other replica is asked.
    let answer = two.builds.submit(request).await.unwrap();
    assert!(!answer.into_inner().accepted);

    let mut events = watched(&mut two.builds, 0, 3, false).await;
    world.until_executing("hold").await;
    let get = v1::GetRequest { build: id() };
    let build = two.builds.get(get.clone()).await.unwrap().into_inner();
    assert_eq!((build.owner.as_str(), build.finished_ms), ("a", 0));
    assert_eq!(build.options.unwrap().title, "./cmd/...");
    world.gate.send_replace(true);
    let cursor = events.last().unwrap().cursor;
    events.extend(watched(&mut one.builds, cursor, usize::MAX, false).await);
    let cursors: Vec<u64> = events.iter().map(|event| event.cursor).collect();
    assert_eq!(cursors, (1..=events.len() as u64).collect::<Vec<_>>());
    assert_eq!(finished(&events).counts.unwrap().executed, 2);
    let without = watched(&mut two.builds, 0, usize::MAX, true).await;
    assert_eq!(without.len(), events.len() - 2, "{:?}", words(&without));
    // One who has seen everything sees the end of the stream.
    assert!(
        watched(&mut two.builds, events.len() as u64, usize::MAX, false)
            .await
            .is_empty()
    );

    let log = v1::ActionLogRequest {
        build: id(),
        node: 1,
        offset: 5,
        follow: true,
    };
    let mut stream = two.builds.action_log(log).await.unwrap().into_inner();
    let mut output = Vec::new();
    while let Some(piece) = stream.message().await.unwrap() {
        assert_eq!(piece.offset, 5 + output.len() as u64);
        output.extend_from_slice(&piece.data);
    }
    assert_eq!(output, b"is made\n");

    let list = v1::ListRequest::default();
    let builds = two.builds.list(list).await.unwrap().into_inner().builds;
    assert_eq!(builds.len(), 1);
    assert_eq!(builds[0].result(), v1::BuildResult::Succeeded);
    let open = v1::ListRequest {
        open: true,
        ..v1::ListRequest::default()
    };
    let builds = two.builds.list(open).await.unwrap().into_inner().builds;
    assert!(builds.is_empty());
}

#[tokio::test]
async fn a_build_that_is_over_is_watched_from_the_store() {
    let (world, redis) = (World::start(), RedisServer::start());
    let at_once = ReplicaOptions {
        archive_after: Duration::ZERO,
        archive_from: 0,
        ..ReplicaOptions::new("a")
    };
    let mut one = replica_with(&world, &redis, at_once).await;
    let mut two = replica(&world, &redis, "b").await;
    let request = world.chain(1, &["one", "hold"]).await;
    one.builds.submit(request).await.unwrap();
    world.until_executing("hold").await;
    let mut seen = watched(&mut two.builds, 0, 3, false).await;
    world.gate.send_replace(true);
    let get = v1::GetRequest { build: id() };
    let archive = loop {
        let build = two.builds.get(get.clone()).await.unwrap().into_inner();
        if let Some(archive) = build.archive {
            break Digest::try_from(&archive).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let left = one.registry.events(BuildId(1), 0, 100, Duration::ZERO);
    assert_eq!(left.await.unwrap(), Some(Vec::new()));

    // Whoever had come part of the way goes on, and whoever comes now sees all of it.
    let cursor = seen.last().unwrap().cursor;
    seen.extend(watched(&mut one.builds, cursor, usize::MAX, false).await);
    assert_eq!(finished(&seen).counts.unwrap().executed, 2);
    let all = watched(&mut two.builds, 0, usize::MAX, false).await;
    assert_eq!(all, seen);
    let end = all.last().unwrap().cursor;
    let nothing = watched(&mut two.builds, end, usize::MAX, false).await;
    assert_eq!(nothing, []);

    std::fs::remove_file(world.store.fetch(archive).await.unwrap()).unwrap();
    let watch = v1::WatchRequest {
        build: id(),
        ..v1::WatchRequest::default()
    };
    let mut stream = two.builds.watch(watch).await.unwrap().into_inner();
    let error = stream.message().await.unwrap_err();
    assert_eq!(error.code(), Code::DataLoss, "{error}");
}

async fn logged(
    client: &mut BuildsClient<Channel>,
    node: u32,
    offset: u64,
    follow: bool,
) -> (Vec<u8>, Option<tonic::Status>) {
    let request = v1::ActionLogRequest {
        build: id(),
        node,
        offset,
        follow,
    };
    let mut stream = match client.action_log(request).await {
        Ok(stream) => stream.into_inner(),
        Err(status) => return (Vec::new(), Some(status)),
    };
    let mut log = Vec::new();
    loop {
        match stream.message().await {
            Ok(Some(piece)) => {
                assert_eq!(piece.offset, offset + log.len() as u64);
                assert!(piece.data.len() <= 1 << 20);
                log.extend_from_slice(&piece.data);
            }
            Ok(None) => return (log, None),
            Err(status) => return (log, Some(status)),
        }
    }
}

#[tokio::test]
async fn a_long_log_comes_from_the_store_and_its_loss_changes_nothing_else() {
    let (world, redis) = (World::start(), RedisServer::start());
    let mut one = replica(&world, &redis, "a").await;
    let mut two = replica(&world, &redis, "b").await;
    let mut request = world.chain(1, &["long", "long hold fails"]).await;
    request.options = Some(v1::BuildOptions::default());
    one.builds.submit(request).await.unwrap();
    // Watched while it runs, from both ends.
    world.until_executing("long hold fails").await;
    let mut follower = two.builds.clone();
    let follows = tokio::spawn(async move { logged(&mut follower, 1, 7, true).await });
    world.gate.send_replace(true);
    let events = watched(&mut two.builds, 0, usize::MAX, false).await;
    assert_eq!(finished(&events).result(), v1::BuildResult::Failed);
    // No event has much of it.
    let sizes = events.iter().map(gofarm_proto::Message::encoded_len);
    assert!(sizes.max().unwrap() < 1000);

    let logs = ["long", "long hold fails"].map(long_log);
    let (log, status) = follows.await.unwrap();
    assert!(status.is_none(), "{status:?}");
    assert!(log == logs[1].as_bytes()[7..], "{}", log.len());
    for (node, log) in logs.iter().enumerate() {
        for (offset, follow) in [(0, false), (1_000_001, false), (5, true), (1 << 40, false)] {
            let (read, status) = logged(&mut two.builds, node as u32, offset, follow).await;
            assert!(status.is_none(), "{status:?}");
            let expected = log.as_bytes().get(offset as usize..).unwrap_or_default();
            assert!(read == expected, "{node} {offset} {follow}");
        }
    }

    let damaged = Digest::of(logs[0].as_bytes());
    let path = world.store.fetch(damaged).await.unwrap();
    let before = std::fs::metadata(&path).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[1_000_000] ^= 1;
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, bytes).unwrap();
    std::fs::set_permissions(&path, before.permissions()).unwrap();
    let times = std::fs::FileTimes::new().set_modified(before.modified().unwrap());
    std::fs::File::open(&path)
        .unwrap()
        .set_times(times)
        .unwrap();
    let (_, status) = logged(&mut two.builds, 0, 0, false).await;
    let status = status.unwrap();
    assert_eq!(status.code(), Code::DataLoss, "{status}");
    assert!(status.message().contains("is damaged"), "{status}");

    let lost = Digest::of(logs[1].as_bytes());
    std::fs::remove_file(world.store.fetch(lost).await.unwrap()).unwrap();
    for node in [0, 1] {
        let (log, status) = logged(&mut one.builds, node, 0, false).await;
        let status = status.unwrap();
        assert_eq!((log.len(), status.code()), (0, Code::NotFound), "{status}");
        assert!(
            status.message().starts_with(&format!(
                "the log of action {node} of build {} is no longer kept: its blob ",
                id()
            )),
            "{status}"
        );
    }
    let again = watched(&mut two.builds, 0, usize::MAX, false).await;
    assert_eq!(again, events);
}

#[tokio::test]
async fn cancelling_elsewhere_ends_what_runs() {
    let (world, redis) = (World::start(), RedisServer::start());
    let mut one = replica(&world, &redis, "a").await;
    let mut two = replica(&world, &redis, "b").await;
    let request = world.chain(1, &["hold", "two"]).await;
    one.builds.submit(request).await.unwrap();
    world.until_executing("hold").await;
    let cancel = v1::CancelRequest { build: id() };
    two.builds.cancel(cancel.clone()).await.unwrap();
    let events = watched(&mut two.builds, 0, usize::MAX, false).await;
    assert_eq!(finished(&events).result(), v1::BuildResult::Cancelled);
    // Over as it is, it stays so.
    two.builds.cancel(cancel).await.unwrap();
    let get = v1::GetRequest { build: id() };
    let build = two.builds.get(get).await.unwrap().into_inner();
    assert_eq!(build.result(), v1::BuildResult::Cancelled);
}

#[tokio::test]
async fn errors_say_what_the_caller_can_do() {
    let (world, redis) = (World::start(), RedisServer::start());
    let mut one = replica(&world, &redis, "a").await;
    let code = |status: tonic::Status| status.code();
    let watch = v1::WatchRequest {
        build: id(),
        ..v1::WatchRequest::default()
    };
    assert_eq!(
        one.builds.watch(watch).await.map(drop).map_err(code),
        Err(Code::NotFound)
    );
    let get = v1::GetRequest {
        build: "one".to_owned(),
    };
    let get = one.builds.get(get).await.map(drop).map_err(code);
    assert_eq!(get, Err(Code::InvalidArgument));
    let cancel = v1::CancelRequest { build: id() };
    let cancel = one.builds.cancel(cancel).await.map(drop).map_err(code);
    assert_eq!(cancel, Err(Code::NotFound));
    let provide = v1::ProvideRequest {
        build: id(),
        ..v1::ProvideRequest::default()
    };
    let provide = one.builds.provide(provide).await.map(drop).map_err(code);
    assert_eq!(provide, Err(Code::NotFound));
    let submit = v1::SubmitRequest {
        build: id(),
        graph: Some(gofarm_proto::Digest::of(b"lost").into()),
        options: None,
    };
    let submit = one.builds.submit(submit).await.map(drop).map_err(code);
    assert_eq!(submit, Err(Code::NotFound));
}

#[tokio::test]
async fn a_build_that_cannot_come_back_is_not_waited_for() {
    let world = World::start();
    // As after a restart: what this registry does not know, nobody does.
    let registry: Arc<dyn Registry> = Arc::new(MemoryRegistry::new());
    let builds = BuildsService::new(world.engine("a", &registry));
    let watch = v1::WatchRequest {
        build: id(),
        after: 7,
        ..v1::WatchRequest::default()
    };
    let answer = builds.watch(tonic::Request::new(watch)).await;
    let code = answer.map(drop).map_err(|status| status.code());
    assert_eq!(code, Err(Code::NotFound));
}

#[tokio::test]
async fn every_replica_lists_all_workers() {
    let (world, redis) = (World::start(), RedisServer::start());
    let one = replica(&world, &redis, "a").await;
    let mut two = replica(&world, &redis, "b").await;
    let worker = v1::Worker {
        name: "w1".to_owned(),
        slots: 4,
        ..v1::Worker::default()
    };
    one.registry.note_worker(worker).await.unwrap();
    let listed = two.farm.workers(v1::WorkersRequest {}).await.unwrap();
    let listed = listed.into_inner().workers;
    assert_eq!((listed.len(), listed[0].slots), (1, 4));
}
