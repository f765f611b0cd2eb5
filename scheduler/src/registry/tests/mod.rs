//! One suite for both registries; the faults of a real redis-server are tested with the engine.

mod full;
mod model;
mod open;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gofarm_proto::v1;

use super::*;
use crate::redis::RedisRegistry;
use gofarm_engine::core::Estimate;
use gofarm_testkit::RedisServer;
use gofarm_timing::now_ms;

fn owner(name: &str) -> Arc<str> {
    name.into()
}

fn build(number: u128) -> v1::Build {
    v1::Build {
        build: BuildId(number).to_string(),
        submitted_ms: 1000 + number as u64,
        ..v1::Build::default()
    }
}

fn events(cursors: std::ops::RangeInclusive<u64>) -> Vec<LoggedEvent> {
    let event = |cursor: u64| LoggedEvent {
        cursor,
        bytes: Bytes::from(format!("event {cursor}")),
    };
    cursors.map(event).collect()
}

fn append(ownership: &Ownership, after: u64, upto: u64) -> Append {
    Append {
        ownership: ownership.clone(),
        after,
        events: events(after + 1..=upto),
        dropped: Vec::new(),
        record: build(ownership.build.0),
    }
}

async fn cursors(registry: &dyn Registry, build: BuildId, after: u64) -> Vec<Bytes> {
    let found = registry.events(build, after, 100, Duration::ZERO).await;
    found.unwrap().expect("a known build")
}

async fn submitted(registry: &dyn Registry, number: u128, by: &str) -> Ownership {
    let ownership = registry.submit(&owner(by), &build(number)).await.unwrap();
    ownership.expect("a new build")
}

async fn a_build_is_known_once(registry: &dyn Registry) {
    submitted(registry, 1, "a").await;
    let again = registry.submit(&owner("b"), &build(1)).await.unwrap();
    assert_eq!(again, None);
    let found = registry.get(BuildId(1)).await.unwrap().unwrap();
    assert_eq!(found.owner, "a");
    submitted(registry, 2, "b").await;
    let listed = registry.list(10, true).await.unwrap();
    let ids: Vec<_> = listed.iter().map(|build| build.build.as_str()).collect();
    assert_eq!(ids, [BuildId(2).to_string(), BuildId(1).to_string()]);
    assert_eq!(registry.list(1, false).await.unwrap().len(), 1);
    assert_eq!(registry.get(BuildId(3)).await.unwrap(), None);
}

async fn events_are_fenced_and_told_once(registry: &dyn Registry) {
    let first = submitted(registry, 1, "a").await;
    let done = registry.append(&append(&first, 0, 3)).await.unwrap();
    assert_eq!(done, Appended::Done);
    // The answer was lost, and more has happened since.
    let done = registry.append(&append(&first, 0, 5)).await.unwrap();
    assert_eq!(done, Appended::Done);
    assert_eq!(cursors(registry, BuildId(1), 0).await.len(), 5);
    assert_eq!(
        cursors(registry, BuildId(1), 3).await,
        ["event 4", "event 5"]
    );
    let gap = registry.append(&append(&first, 7, 8)).await.unwrap();
    assert_eq!(gap, Appended::Behind);

    registry
        .release(std::slice::from_ref(&first))
        .await
        .unwrap();
    let taken = registry.take_over(&owner("b"), 10).await.unwrap();
    assert_eq!(taken.len(), 1);
    assert!(taken[0].epoch > first.epoch);
    let stale = registry.append(&append(&first, 5, 6)).await.unwrap();
    assert_eq!(stale, Appended::Lost);
    assert!(!registry.restore(&restore(&first, 5)).await.unwrap());
    assert_eq!(registry.renew(&[first]).await.unwrap(), [Tenure::Lost]);
    assert_eq!(cursors(registry, BuildId(1), 0).await.len(), 5);
    let done = registry.append(&append(&taken[0], 5, 6)).await.unwrap();
    assert_eq!(done, Appended::Done);
}

async fn who_does_not_know_what_another_owner_told_writes_nothing(registry: &dyn Registry) {
    let first = submitted(registry, 1, "a").await;
    registry.append(&append(&first, 0, 3)).await.unwrap();
    let mut held = first;
    let mut taken = Vec::new();
    for name in ["b", "a"] {
        registry.release(&[held]).await.unwrap();
        taken.extend(registry.take_over(&owner(name), 10).await.unwrap());
        held = taken.last().unwrap().clone();
        if name == "b" {
            let done = registry.append(&append(&held, 3, 6)).await.unwrap();
            assert_eq!(done, Appended::Done);
        }
    }
    // The first owner again, with what it had in memory.
    let done = registry.append(&append(&held, 3, 5)).await.unwrap();
    assert_eq!(done, Appended::Lost);
    assert_eq!(cursors(registry, BuildId(1), 0).await.len(), 6);
    // It has read the build anew; and the answer to its first try was lost.
    for up_to in [7, 8] {
        let done = registry.append(&append(&held, 6, up_to)).await.unwrap();
        assert_eq!(done, Appended::Done);
    }
    assert_eq!(cursors(registry, BuildId(1), 0).await.len(), 8);
}

fn restore(ownership: &Ownership, confirmed: u64) -> Restore {
    Restore {
        ownership: ownership.clone(),
        record: build(1),
        confirmed,
    }
}

/// A call that its owner has given up may still be on its way.
async fn what_comes_late_changes_nothing(registry: &dyn Registry) {
    let held = submitted(registry, 1, "a").await;
    registry.append(&append(&held, 0, 3)).await.unwrap();
    let mut over = append(&held, 3, 5);
    over.record.finished_ms = now_ms();
    assert_eq!(registry.append(&over).await.unwrap(), Appended::Done);
    let late = registry.append(&append(&held, 0, 4)).await.unwrap();
    assert_eq!(late, Appended::Done);
    assert!(registry.restore(&restore(&held, 3)).await.unwrap());
    let found = registry.get(BuildId(1)).await.unwrap().unwrap();
    assert_eq!(found.finished_ms, over.record.finished_ms);
    assert_eq!(cursors(registry, BuildId(1), 0).await.len(), 5);
    assert!(registry.list(10, true).await.unwrap().is_empty());
    registry.release(&[held]).await.unwrap();
    assert!(
        registry
            .take_over(&owner("b"), 10)
            .await
            .unwrap()
            .is_empty()
    );
}

async fn dropped_events_leave_the_others_under_their_numbers(registry: &dyn Registry) {
    let ownership = submitted(registry, 1, "a").await;
    registry.append(&append(&ownership, 0, 4)).await.unwrap();
    let dropping = Append {
        dropped: vec![2, 3],
        ..append(&ownership, 4, 5)
    };
    registry.append(&dropping).await.unwrap();
    let left = cursors(registry, BuildId(1), 0).await;
    assert_eq!(left, ["event 1", "event 4", "event 5"]);
}

async fn a_build_that_is_over_is_owned_no_more(registry: &dyn Registry) {
    let ownership = submitted(registry, 1, "a").await;
    let mut last = append(&ownership, 0, 1);
    last.record.finished_ms = now_ms();
    assert_eq!(registry.append(&last).await.unwrap(), Appended::Done);
    // Told again, because the answer was lost.
    assert_eq!(registry.append(&last).await.unwrap(), Appended::Done);
    let record = registry.get(BuildId(1)).await.unwrap().unwrap();
    assert_eq!((record.owner.as_str(), record.finished_ms != 0), ("", true));
    registry
        .release(std::slice::from_ref(&ownership))
        .await
        .unwrap();
    assert!(
        registry
            .take_over(&owner("b"), 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(registry.list(10, true).await.unwrap().is_empty());
    assert_eq!(registry.list(10, false).await.unwrap().len(), 1);
    assert_eq!(cursors(registry, BuildId(1), 0).await.len(), 1);
    assert!(registry.cancel(BuildId(1)).await.unwrap());
}

async fn ownership_runs_out_unless_renewed(registry: &dyn Registry) {
    let kept = submitted(registry, 1, "a").await;
    submitted(registry, 2, "a").await;
    let begin = Instant::now();
    let taken = loop {
        let tenure = registry.renew(std::slice::from_ref(&kept)).await.unwrap();
        assert!(matches!(tenure[..], [Tenure::Held { .. }]), "{tenure:?}");
        let taken = registry.take_over(&owner("b"), 10).await.unwrap();
        if !taken.is_empty() {
            break taken;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert!(begin.elapsed() > OWNERSHIP_TTL - Duration::from_secs(1));
    assert_eq!((taken.len(), taken[0].build), (1, BuildId(2)));
}

async fn a_reader_is_woken(registry: Arc<dyn Registry>) {
    let ownership = submitted(&*registry, 1, "a").await;
    let reader = registry.clone();
    let read = tokio::spawn(async move {
        let wait = Duration::from_secs(20);
        reader.events(BuildId(1), 0, 10, wait).await
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    registry.append(&append(&ownership, 0, 1)).await.unwrap();
    let begin = Instant::now();
    assert_eq!(read.await.unwrap().unwrap().unwrap().len(), 1);
    assert!(begin.elapsed() < Duration::from_secs(5));
    let unknown = registry.events(BuildId(9), 0, 10, Duration::ZERO).await;
    assert!(unknown.unwrap().is_none());
}

async fn an_owner_hears_what_others_say(registry: Arc<dyn Registry>) {
    let ownership = submitted(&*registry, 1, "a").await;
    assert!(!registry.cancel(BuildId(2)).await.unwrap());
    let provided = v1::ProvideRequest {
        build: ownership.build.to_string(),
        ..v1::ProvideRequest::default()
    };
    assert!(registry.provide(BuildId(1), &provided).await.unwrap());
    registry.control(Duration::from_secs(20)).await;
    assert!(registry.cancel(BuildId(1)).await.unwrap());
    let held = [ownership];
    let told = registry.renew(&held).await.unwrap();
    let expected = |provided: Vec<v1::ProvideRequest>| Tenure::Held {
        last: 0,
        cancelled: true,
        provided,
    };
    assert_eq!(told, [expected(vec![provided])]);
    // That it shall end is said until it has.
    assert_eq!(registry.renew(&held).await.unwrap(), [expected(Vec::new())]);
}

async fn history_follows_what_is_measured(registry: &dyn Registry) {
    let measure = |duration_ms: u64, peak_memory: u64| {
        vec![Measurement {
            package: "fmt".into(),
            kind: v1::Kind::Compile,
            measured: Estimate {
                duration_ms,
                peak_memory,
            },
        }]
    };
    registry
        .measured("default", &measure(1000, 1 << 32))
        .await
        .unwrap();
    registry
        .measured("default", &measure(500, 1 << 31))
        .await
        .unwrap();
    let asked = [
        ("fmt".into(), v1::Kind::Compile),
        ("fmt".into(), v1::Kind::Link),
    ];
    let estimates = registry.estimates("default", &asked).await.unwrap();
    let expected = Estimate {
        duration_ms: 800,
        peak_memory: 4_080_218_931,
    };
    assert_eq!(estimates, [Some(expected), None]);
    let elsewhere = registry.estimates("other", &asked).await.unwrap();
    assert_eq!(elsewhere, [None, None]);
}

async fn events_move_when_a_build_is_over(registry: &dyn Registry) {
    let held = submitted(registry, 1, "a").await;
    registry.append(&append(&held, 0, 3)).await.unwrap();
    let archived = v1::Build {
        finished_ms: 7,
        archive: Some(gofarm_proto::Digest::of(b"events").into()),
        ..build(1)
    };
    registry.archive(&held, &archived).await.unwrap();
    assert_eq!(cursors(registry, BuildId(1), 0).await.len(), 3);
    let last = Append {
        record: v1::Build {
            finished_ms: 7,
            ..build(1)
        },
        ..append(&held, 3, 4)
    };
    registry.append(&last).await.unwrap();
    // Of a build under the same name that the registry has lost since.
    for stale in [
        Ownership {
            epoch: 9,
            ..held.clone()
        },
        Ownership {
            owner: "b".into(),
            ..held.clone()
        },
    ] {
        registry.archive(&stale, &archived).await.unwrap();
        assert_eq!(cursors(registry, BuildId(1), 0).await.len(), 4);
    }
    registry.archive(&held, &archived).await.unwrap();
    assert_eq!(cursors(registry, BuildId(1), 0).await.len(), 0);
    let found = registry.get(BuildId(1)).await.unwrap();
    assert_eq!(found, Some(archived.clone()));
    // Nothing is made up.
    let other = Ownership {
        build: BuildId(2),
        ..held
    };
    registry.archive(&other, &archived).await.unwrap();
    assert_eq!(registry.get(BuildId(2)).await.unwrap(), None);
}

async fn workers_are_listed_by_name(registry: &dyn Registry) {
    for (name, slots) in [("b", 1), ("a", 2), ("b", 3)] {
        let worker = v1::Worker {
            name: name.to_owned(),
            slots,
            ..v1::Worker::default()
        };
        registry.note_worker(worker).await.unwrap();
    }
    let workers = registry.workers().await.unwrap();
    let listed = workers
        .iter()
        .map(|worker| (worker.name.as_str(), worker.slots));
    assert_eq!(listed.collect::<Vec<_>>(), [("a", 2), ("b", 3)]);
    assert!(workers.iter().all(|worker| worker.seen_ms < 20_000));
}

async fn a_duty_is_one_replicas_at_a_time(registry: &dyn Registry) {
    const LONG: Duration = Duration::from_secs(60);
    let (a, b) = (owner("a"), owner("b"));
    let first = registry.take_duty("d", &a, LONG).await.unwrap().unwrap();
    assert_eq!(first.done_ms, 0);
    assert_eq!(registry.take_duty("d", &b, LONG).await.unwrap(), None);
    let other = registry.take_duty("e", &b, LONG).await.unwrap();
    assert!(other.is_some());
    // Prolonged, for a moment.
    let again = registry.take_duty("d", &a, Duration::from_millis(1)).await;
    assert_eq!(again.unwrap(), Some(first));
    tokio::time::sleep(Duration::from_millis(20)).await;
    let second = registry.take_duty("d", &b, LONG).await.unwrap().unwrap();
    assert!(second.epoch > first.epoch);
    assert!(!registry.duty_done("d", &a, &first, 7).await.unwrap());
    assert!(registry.duty_done("d", &b, &second, 8).await.unwrap());
    let third = registry.take_duty("d", &a, LONG).await.unwrap().unwrap();
    assert!(third.epoch > second.epoch && third.done_ms == 8);
    // The token of another time.
    assert!(!registry.duty_done("d", &a, &first, 7).await.unwrap());
}

async fn suite(mut registry: impl FnMut() -> Arc<dyn Registry>) {
    a_build_is_known_once(&*registry()).await;
    events_are_fenced_and_told_once(&*registry()).await;
    who_does_not_know_what_another_owner_told_writes_nothing(&*registry()).await;
    what_comes_late_changes_nothing(&*registry()).await;
    dropped_events_leave_the_others_under_their_numbers(&*registry()).await;
    a_build_that_is_over_is_owned_no_more(&*registry()).await;
    ownership_runs_out_unless_renewed(&*registry()).await;
    events_move_when_a_build_is_over(&*registry()).await;
    a_reader_is_woken(registry()).await;
    an_owner_hears_what_others_say(registry()).await;
    history_follows_what_is_measured(&*registry()).await;
    workers_are_listed_by_name(&*registry()).await;
    a_duty_is_one_replicas_at_a_time(&*registry()).await;
}

const FEW: Bounds = Bounds {
    over: 20,
    history: 50,
};

/// More builds and executions than are remembered; the first build stays open.
async fn far_more_than_is_remembered(registry: &dyn Registry, builds: std::ops::Range<u128>) {
    if builds.start == 1 {
        submitted(registry, 0, "a").await;
    }
    for number in builds {
        let held = submitted(registry, number, "a").await;
        let mut over = append(&held, 0, 10);
        over.record.finished_ms = now_ms() - 1000 + number as u64;
        over.record.set_result(v1::BuildResult::Succeeded);
        assert_eq!(registry.append(&over).await.unwrap(), Appended::Done);
        let measurement = |action| Measurement {
            package: format!("example.com/{number}/{action}").into(),
            kind: v1::Kind::Compile,
            measured: Estimate {
                duration_ms: 1,
                peak_memory: 1,
            },
        };
        let measurements: Vec<Measurement> = (0..5).map(measurement).collect();
        registry.measured("default", &measurements).await.unwrap();
        // As an owner does every second.
        registry.take_over(&owner("a"), 10).await.unwrap();
    }
}

async fn the_latest_builds_that_are_over_are_remembered(registry: &dyn Registry) {
    far_more_than_is_remembered(registry, 1..101).await;
    let listed = registry.list(1000, false).await.unwrap();
    assert_eq!(listed.len(), FEW.over + 1);
    assert_eq!(registry.list(1000, true).await.unwrap().len(), 1);
    assert!(registry.get(BuildId(0)).await.unwrap().is_some());
    assert!(registry.get(BuildId(100)).await.unwrap().is_some());
    assert_eq!(cursors(registry, BuildId(100), 0).await.len(), 10);
    assert_eq!(registry.get(BuildId(80)).await.unwrap(), None);
    let gone = registry.events(BuildId(80), 0, 100, Duration::ZERO).await;
    assert_eq!(gone.unwrap(), None);
    let actions: Vec<(Arc<str>, v1::Kind)> = (1..101)
        .flat_map(|number| (0..5).map(move |action| (number, action)))
        .map(|(number, action)| {
            (
                format!("example.com/{number}/{action}").into(),
                v1::Kind::Compile,
            )
        })
        .collect();
    let known = registry.estimates("default", &actions).await.unwrap();
    assert_eq!(known.iter().flatten().count(), FEW.history);
}

#[tokio::test]
async fn what_is_over_is_bounded_in_memory() {
    let registry = MemoryRegistry::with_bounds(FEW);
    the_latest_builds_that_are_over_are_remembered(&registry).await;
}

#[tokio::test]
async fn what_is_over_is_bounded_on_redis() {
    let server = RedisServer::start();
    let registry = RedisRegistry::connect(server.url(0), "test").unwrap();
    let registry = registry.with_bounds(FEW);
    the_latest_builds_that_are_over_are_remembered(&registry).await;
    let (keys, bytes) = kept(&server);
    // Record and events of each build that is over, the record of the open one; open, builds, over and the history.
    assert_eq!(keys, 2 * FEW.over + 1 + 4);
    far_more_than_is_remembered(&registry, 101..301).await;
    let (later_keys, later_bytes) = kept(&server);
    assert_eq!(later_keys, keys);
    // What was left by three times as many builds is as much, give or take what the server rounds.
    assert!(later_bytes < bytes * 5 / 4, "{later_bytes} after {bytes}");
}

/// Keys of the server, and the bytes that they take.
fn kept(server: &RedisServer) -> (usize, u64) {
    let mut redis = server.connection(0);
    let keys: Vec<String> = ::redis::cmd("KEYS").arg("*").query(&mut redis).unwrap();
    let bytes = keys.iter().map(|key| -> u64 {
        let mut asked = ::redis::cmd("MEMORY");
        asked.arg("USAGE").arg(key);
        asked.query(&mut redis).unwrap()
    });
    let bytes = bytes.sum();
    (keys.len(), bytes)
}

#[tokio::test]
async fn in_memory() {
    suite(|| Arc::new(MemoryRegistry::new())).await;
}

#[tokio::test]
async fn on_redis() {
    let server = RedisServer::start();
    let mut number = 0;
    suite(|| {
        number += 1;
        let registry = RedisRegistry::connect(server.url(0), &format!("test-{number}"));
        Arc::new(registry.unwrap())
    })
    .await;
}

#[tokio::test]
async fn a_redis_that_lost_everything_is_told_again() {
    let server = RedisServer::start();
    let registry = RedisRegistry::connect(server.url(0), "test").unwrap();
    let held = submitted(&registry, 1, "a").await;
    registry.append(&append(&held, 0, 3)).await.unwrap();
    ::redis::cmd("FLUSHALL")
        .exec(&mut server.connection(0))
        .unwrap();
    let tenures = registry.renew(std::slice::from_ref(&held)).await.unwrap();
    assert_eq!(tenures, [Tenure::Unknown]);
    let behind = registry.append(&append(&held, 3, 4)).await.unwrap();
    assert_eq!(behind, Appended::Behind);
    assert!(registry.restore(&restore(&held, 3)).await.unwrap());
    registry.append(&append(&held, 0, 4)).await.unwrap();
    assert_eq!(cursors(&registry, BuildId(1), 3).await, ["event 4"]);
    assert_eq!(registry.list(10, true).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_redis_that_goes_away_and_comes_back_is_used_again() {
    let mut server = RedisServer::start();
    let registry = RedisRegistry::connect(server.url(0), "test").unwrap();
    let held = submitted(&registry, 1, "a").await;
    let held = std::slice::from_ref(&held);
    assert!(matches!(
        registry.renew(held).await.unwrap()[..],
        [Tenure::Held { .. }]
    ));
    server.kill_and_restart_empty();
    let begin = Instant::now();
    let tenures = loop {
        let tried = Instant::now();
        match registry.renew(held).await {
            Ok(tenures) => break tenures,
            // No call hangs, and the server is named.
            Err(RegistryError::Unavailable { reason, .. }) => {
                assert!(reason.starts_with("redis at /"), "{reason}");
                assert!(tried.elapsed() < Duration::from_secs(10));
            }
            Err(other) => panic!("{other}"),
        }
        assert!(begin.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(tenures, [Tenure::Unknown]);
}
