//! What an operator sees: metrics, log lines, spans.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use gofarm_daemon::Place;
use gofarm_proto::v1::blobs_client::BlobsClient;
use gofarm_proto::v1::builds_client::BuildsClient;
use gofarm_proto::v1::leases_client::LeasesClient;
use gofarm_proto::{ActionKey, Digest, Message, v1};
use gofarm_testkit::{Collector, RedisServer, TakenSpan};
use nix::sys::signal::Signal;
use tonic::transport::Channel;

use super::process::{LIMIT, Scheduler, acquire};

/// Spans are sent this often, milliseconds.
const OFTEN: (&str, &str) = ("OTEL_BSP_SCHEDULE_DELAY", "20");

/// A client and workers of a scheduler.
struct Play {
    blobs: BlobsClient<Channel>,
    builds: BuildsClient<Channel>,
    leases: LeasesClient<Channel>,
}

impl Play {
    async fn with(scheduler: &Scheduler) -> Play {
        let channel = scheduler.channel().await;
        Play {
            blobs: BlobsClient::new(channel.clone()),
            builds: BuildsClient::new(channel.clone()),
            leases: LeasesClient::new(channel),
        }
    }

    async fn put(&mut self, data: Vec<u8>) -> Digest {
        let digest = Digest::of(&data);
        let blob = v1::Blob {
            digest: Some(digest.into()),
            data: data.into(),
            zstd: false,
        };
        let request = v1::BatchWriteRequest { blobs: vec![blob] };
        let answer = self.blobs.batch_write(request).await.unwrap().into_inner();
        assert_eq!(answer.refused, []);
        digest
    }

    /// A chain of compilations, each reading the one before.
    async fn submit(&mut self, build: &str, labels: &[&str]) {
        let mut nodes = Vec::new();
        for (index, label) in labels.iter().enumerate() {
            let action = v1::Action {
                label: label.to_string(),
                ..v1::Action::default()
            };
            let before = index.checked_sub(1).map(|node| v1::Edge {
                node: node as u32,
                output: "out".to_owned(),
            });
            nodes.push(v1::Node {
                action: Some(self.put(action.encode_to_vec()).await.into()),
                label: label.to_string(),
                kind: v1::Kind::Compile.into(),
                package: label.to_string(),
                inputs: before.into_iter().collect(),
                requested: index + 1 == labels.len(),
                platform: Some(v1::Platform {
                    os: "linux".to_owned(),
                    arch: "amd64".to_owned(),
                    ..v1::Platform::default()
                }),
                ..v1::Node::default()
            });
        }
        let graph = self.put(v1::Graph { nodes }.encode_to_vec()).await;
        let request = v1::SubmitRequest {
            build: build.to_owned(),
            graph: Some(graph.into()),
            options: Some(v1::BuildOptions {
                user: "ann".to_owned(),
                title: "./cmd/app".to_owned(),
                ..v1::BuildOptions::default()
            }),
        };
        self.builds.submit(request).await.unwrap();
    }

    async fn lease(&mut self, worker: &str) -> v1::Lease {
        let request = v1::AcquireRequest {
            worker: worker.to_owned(),
            free_slots: 1,
            ..acquire(LIMIT)
        };
        let answer = self.leases.acquire(request).await.unwrap().into_inner();
        answer.leases.into_iter().next().unwrap()
    }

    async fn complete(
        &mut self,
        worker: &str,
        lease: &v1::Lease,
        outcome: v1::outcome::Outcome,
    ) -> v1::LeaseState {
        let request = v1::CompleteRequest {
            lease: lease.id.clone(),
            worker: worker.to_owned(),
            outcome: Some(v1::Outcome {
                outcome: Some(outcome),
            }),
            next: None,
        };
        let answer = self.leases.complete(request).await.unwrap().into_inner();
        assert_eq!(answer.missing, []);
        answer.state()
    }

    async fn succeed(&mut self, worker: &str, lease: &v1::Lease) -> v1::LeaseState {
        let label = &lease.task.as_ref().unwrap().label;
        let output = v1::OutputFile {
            name: "out".to_owned(),
            digest: Some(
                self.put(format!("made by {label}").into_bytes())
                    .await
                    .into(),
            ),
            ..v1::OutputFile::default()
        };
        let result = v1::ActionResult {
            outputs: vec![output],
            usage: Some(v1::Usage {
                wall_ms: 5,
                ..v1::Usage::default()
            }),
            ..v1::ActionResult::default()
        };
        let succeeded = v1::outcome::Outcome::Succeeded(result);
        self.complete(worker, lease, succeeded).await
    }

    /// Waits for its end.
    async fn end(&mut self, build: &str) -> v1::BuildFinished {
        let request = v1::WatchRequest {
            build: build.to_owned(),
            ..v1::WatchRequest::default()
        };
        let mut events = self.builds.watch(request).await.unwrap().into_inner();
        while let Some(some) = events.message().await.unwrap() {
            for event in some.events {
                if let Some(v1::build_event::Event::Finished(finished)) = event.event {
                    return finished;
                }
            }
        }
        panic!("the events of {build} ended without its end");
    }
}

fn place(taken: &TakenSpan) -> Place {
    let (trace, span) = taken.ids();
    Place { trace, span }
}

fn parent(taken: &TakenSpan) -> u64 {
    u64::from_be_bytes(taken.span.parent_span_id.clone().try_into().unwrap())
}

fn within(inner: &TakenSpan, outer: &TakenSpan) -> bool {
    let (inner, outer) = (&inner.span, &outer.span);
    outer.start_time_unix_nano <= inner.start_time_unix_nano
        && inner.start_time_unix_nano <= inner.end_time_unix_nano
        && inner.end_time_unix_nano <= outer.end_time_unix_nano
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_is_a_trace() {
    let collector = Collector::start().await;
    let mut scheduler = Scheduler::start_with(
        &[],
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-team=farm"),
            ("OTEL_SERVICE_NAME", "our-scheduler"),
            // The last ones are sent when it ends.
            ("OTEL_BSP_SCHEDULE_DELAY", "3600000"),
        ],
    );
    let mut play = Play::with(&scheduler).await;
    let id = "5b0d6c3e2f1a4d7f9c8b7a6958473625";
    let build = u128::from_str_radix(id, 16).unwrap();
    play.submit(id, &["compile a", "compile b"]).await;
    let mut keys = HashMap::new();
    for (attempt, worker) in [(1, "w1"), (2, "w2"), (1, "w2")] {
        let lease = play.lease(worker).await;
        let task = lease.task.as_ref().unwrap();
        assert_eq!(task.attempt, attempt);
        let key = lease.id.as_ref().unwrap().key.clone();
        let key = ActionKey(key.try_into().unwrap());
        assert_eq!(
            Place::parse(&task.trace),
            Ok((Place::of_action(build, &key), true))
        );
        let first = keys.insert(key, task.label.clone()).is_none();
        if first && task.label == "compile a" {
            let crashed = v1::outcome::Outcome::Crashed("no room".to_owned());
            play.complete(worker, &lease, crashed).await;
        } else {
            play.succeed(worker, &lease).await;
        }
    }
    play.end(id).await;
    let lost = scheduler.said("run of an action came to nothing");
    let lost: Vec<_> = ["build", "action", "worker", "reason", "attempt"]
        .map(|field| lost[0][field].to_string().replace('"', ""))
        .into();
    assert_eq!(lost, [id, "compile a", "w1", "no room", "1"]);
    // The same once more, under another id.
    let cached = "00000000000000000000000000000002";
    play.submit(cached, &["compile a", "compile b"]).await;
    play.end(cached).await;
    scheduler.signal(Signal::SIGTERM);
    assert_eq!(scheduler.wait().code(), Some(0));

    let spans = collector.spans();
    let named = |name: &str| -> Vec<&TakenSpan> {
        let found = spans.iter().filter(|taken| taken.span.name == name);
        let mut found: Vec<&TakenSpan> = found.collect();
        found.sort_by_key(|taken| taken.span.start_time_unix_nano);
        found
    };
    for taken in &spans {
        assert_eq!(taken.resource["service.name"], "our-scheduler");
        assert_eq!(taken.header.as_deref(), Some("farm"));
    }
    let builds = named("build");
    assert_eq!(builds.len(), 2, "{spans:?}");
    assert_eq!(place(builds[0]), Place::of_build(build));
    assert!(builds[0].span.parent_span_id.is_empty());
    let facts = builds[0].attributes();
    for (name, value) in [
        ("gofarm.build", id),
        ("gofarm.user", "ann"),
        ("gofarm.title", "./cmd/app"),
        ("gofarm.result", "succeeded"),
        ("gofarm.actions.executed", "2"),
        ("gofarm.actions.cached", "0"),
    ] {
        assert_eq!(facts[name], value, "{name}");
    }
    assert_eq!(place(builds[1]).trace, 2);
    assert_eq!(builds[1].attributes()["gofarm.actions.cached"], "2");
    // What is cached has no span of its own.
    let actions = named("action");
    assert_eq!(actions.len(), 2, "{spans:?}");
    for (action, (label, attempts)) in actions.iter().zip([("compile a", 2), ("compile b", 1)]) {
        let facts = action.attributes();
        let known = keys.iter().find(|(_, known)| *known == label);
        let (key, _) = known.unwrap();
        assert_eq!(place(action), Place::of_action(build, key));
        assert_eq!(parent(action), Place::of_build(build).span);
        assert!(within(action, builds[0]));
        for (name, value) in [
            ("gofarm.label", label),
            ("gofarm.kind", "compile"),
            ("gofarm.key", &key.to_string()),
            ("gofarm.attempt", &attempts.to_string()),
            ("gofarm.worker", "w2"),
            ("gofarm.how", "executed"),
        ] {
            assert_eq!(facts[name], value, "{name}");
        }
        let mut waits = named("queue");
        waits.retain(|wait| parent(wait) == place(action).span);
        assert_eq!(waits.len(), attempts, "{spans:?}");
        for wait in waits {
            assert_eq!(place(wait).trace, build);
            assert!(within(wait, action), "{wait:?} {action:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_action_says_so_in_its_span() {
    let collector = Collector::start().await;
    let endpoint = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &*collector.url);
    let scheduler = Scheduler::start_with(&[], &[endpoint, OFTEN]);
    let mut play = Play::with(&scheduler).await;
    let id = "00000000000000000000000000000003";
    play.submit(id, &["compile a", "compile b"]).await;
    let lease = play.lease("w").await;
    let result = v1::ActionResult {
        exit_code: 2,
        ..v1::ActionResult::default()
    };
    let failed = v1::outcome::Outcome::Failed(result);
    play.complete("w", &lease, failed).await;
    play.end(id).await;
    let action = collector.one("action").await;
    let status = action.span.status.as_ref().unwrap();
    assert_eq!((status.code, &*status.message), (2, "exit status 2"));
    assert_eq!(action.attributes()["gofarm.how"], "failed");
    let build = collector.one("build").await;
    assert_eq!(build.span.status.as_ref().unwrap().code, 2);
    assert_eq!(build.resource["service.name"], "gofarm-scheduler");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_two_builds_share_is_linked() {
    let collector = Collector::start().await;
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.url);
    let mut scheduler = Scheduler::start_with(&[], &[endpoint, OFTEN]);
    let mut play = Play::with(&scheduler).await;
    let ids = [11, 12].map(|number: u128| format!("{number:032x}"));
    for id in &ids {
        play.submit(id, &["compile a"]).await;
        let depth = r#"gofarm_tasks{pool="default:linux/amd64",state="queued"}"#;
        until_at_least(&scheduler, depth, 1.0);
    }
    // Both wait for it before anybody has it.
    let mut events = 0;
    while events == 0 {
        let request = v1::WatchRequest {
            build: ids[1].clone(),
            after: 1,
            ..v1::WatchRequest::default()
        };
        let mut watch = play.builds.watch(request).await.unwrap().into_inner();
        let some = watch.message().await.unwrap().unwrap();
        events = some.events.len();
    }
    let lease = play.lease("w").await;
    let (told, _) = Place::parse(&lease.task.as_ref().unwrap().trace).unwrap();
    assert_eq!(told.trace, 11);
    play.succeed("w", &lease).await;
    for id in &ids {
        play.end(id).await;
    }
    scheduler.signal(Signal::SIGTERM);
    assert_eq!(scheduler.wait().code(), Some(0));
    let spans = collector.spans();
    let mut actions: Vec<&TakenSpan> = Vec::new();
    for how in ["executed", "joined"] {
        let of = |taken: &&TakenSpan| {
            taken.span.name == "action" && taken.attributes()["gofarm.how"] == how
        };
        actions.extend(spans.iter().filter(of));
    }
    let [executed, joined] = actions[..] else {
        panic!("{spans:?}");
    };
    assert_eq!(place(executed), told);
    assert!(executed.span.links.is_empty());
    assert_eq!(place(joined).trace, 12);
    let link = &joined.span.links[0];
    assert_eq!(link.trace_id, executed.span.trace_id);
    assert_eq!(link.span_id, executed.span.span_id);
    let waits = spans.iter().filter(|taken| taken.span.name == "queue");
    assert_eq!(waits.count(), 1);
}

/// A UUID has fixed bits where samplers by ratio look.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_the_builds_is_a_part_of_them() {
    let collector = Collector::start().await;
    let scheduler = Scheduler::start_with(
        &[],
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.3"),
            OFTEN,
        ],
    );
    let mut play = Play::with(&scheduler).await;
    let mut wanted = 0;
    for number in 0..40_u128 {
        // Version 4, variant 1.
        let id = 0x5b0d6c3e_2f1a_4d7f_9c8b_7a6958473625 ^ (number * 0x0101_0101) << 96 ^ number;
        play.submit(&format!("{id:032x}"), &[&format!("compile {number}")])
            .await;
        let lease = play.lease("w").await;
        let (_, sampled) = Place::parse(&lease.task.as_ref().unwrap().trace).unwrap();
        wanted += u32::from(sampled);
        play.succeed("w", &lease).await;
    }
    assert!((6..=20).contains(&wanted), "{wanted} of 40");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sampler_that_drops_all_sends_nothing_and_tells_workers() {
    let collector = Collector::start().await;
    let scheduler = Scheduler::start_with(
        &[],
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0"),
            OFTEN,
        ],
    );
    let mut play = Play::with(&scheduler).await;
    let id = "00000000000000000000000000000004";
    play.submit(id, &["compile a"]).await;
    let lease = play.lease("w").await;
    let (place, sampled) = Place::parse(&lease.task.as_ref().unwrap().trace).unwrap();
    // The build is named all the same.
    assert_eq!((place.trace, sampled), (4, false));
    play.succeed("w", &lease).await;
    play.end(id).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(collector.spans().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_costs_one_line() {
    // Taken and not served.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", port.local_addr().unwrap());
    drop(port);
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", &*url);
    let mut scheduler = Scheduler::start_with(&[], &[endpoint, OFTEN]);
    let mut play = Play::with(&scheduler).await;
    for number in 5..8 {
        let id = format!("{number:032x}");
        play.submit(&id, &[&format!("compile {number}")]).await;
        let lease = play.lease("w").await;
        play.succeed("w", &lease).await;
        let finished = play.end(&id).await;
        assert_eq!(finished.result(), v1::BuildResult::Succeeded);
        scheduler.until_said("takes no spans");
    }
    let begun = Instant::now();
    scheduler.signal(Signal::SIGTERM);
    assert_eq!(scheduler.wait().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(scheduler.said("takes no spans").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_moves() {
    let redis = RedisServer::on_port();
    let scheduler = Scheduler::start(&["--redis", &redis.url(0)]);
    let mut play = Play::with(&scheduler).await;
    let labels = ["compile a", "compile b"];
    play.submit(&format!("{:032x}", 1), &labels).await;
    let depth = r#"gofarm_tasks{pool="default:linux/amd64",state="queued"}"#;
    until_at_least(&scheduler, depth, 1.0);
    let first = play.lease("w1").await;
    let crashed = v1::outcome::Outcome::Crashed("no room".to_owned());
    play.complete("w1", &first, crashed.clone()).await;
    let late = play.complete("w1", &first, crashed).await;
    assert_eq!(late, v1::LeaseState::LeaseLost);
    let second = play.lease("w2").await;
    until_at_least(
        &scheduler,
        r#"gofarm_tasks{pool="default:linux/amd64",state="leased"}"#,
        1.0,
    );
    // Looked at now and then.
    for gauge in [
        r#"gofarm_farm_tasks{state="leased"}"#,
        r#"gofarm_farm_workers{pool="default",state="active"}"#,
        r#"gofarm_farm_slots{pool="default",state="free"}"#,
    ] {
        until_at_least(&scheduler, gauge, 1.0);
    }
    play.succeed("w2", &second).await;
    let third = play.lease("w2").await;
    play.succeed("w2", &third).await;
    play.end(&format!("{:032x}", 1)).await;
    // From the cache; and one that is given up.
    play.submit(&format!("{:032x}", 2), &labels).await;
    play.end(&format!("{:032x}", 2)).await;
    play.submit(&format!("{:032x}", 3), &["compile c", "compile d"])
        .await;
    until_at_least(&scheduler, depth, 1.0);
    let cancel = v1::CancelRequest {
        build: format!("{:032x}", 3),
    };
    play.builds.cancel(cancel).await.unwrap();
    play.end(&format!("{:032x}", 3)).await;
    play.builds.list(v1::ListRequest::default()).await.unwrap();
    for (metric, least) in [
        (
            r#"gofarm_task_wait_seconds_count{pool="default:linux/amd64"}"#,
            3.0,
        ),
        (r#"gofarm_task_run_seconds_count{kind="compile"}"#, 2.0),
        (r#"gofarm_task_run_seconds_sum{kind="compile"}"#, 0.01),
        (
            r#"gofarm_task_runs_total{kind="compile",how="succeeded"}"#,
            2.0,
        ),
        (
            r#"gofarm_task_runs_total{kind="compile",how="crashed"}"#,
            1.0,
        ),
        (r#"gofarm_task_retries_total{kind="compile"}"#, 1.0),
        (
            r#"gofarm_leases_given_total{pool="default:linux/amd64"}"#,
            3.0,
        ),
        (
            r#"gofarm_lease_refusals_total{call="complete",reason="lost"}"#,
            1.0,
        ),
        (
            r#"gofarm_actions_total{kind="compile",how="executed"}"#,
            2.0,
        ),
        (r#"gofarm_actions_total{kind="compile",how="cached"}"#, 2.0),
        (
            r#"gofarm_actions_total{kind="compile",how="cancelled"}"#,
            2.0,
        ),
        (r#"gofarm_queue_call_seconds_count{call="enqueue"}"#, 3.0),
        (r#"gofarm_queue_call_seconds_count{call="complete"}"#, 4.0),
        (r#"gofarm_registry_call_seconds_count{call="submit"}"#, 3.0),
        (r#"gofarm_registry_call_seconds_count{call="append"}"#, 3.0),
        (r#"gofarm_registry_call_seconds_count{call="list"}"#, 1.0),
        (
            r#"gofarm_store_call_seconds_count{call="write_batch"}"#,
            8.0,
        ),
        (r#"gofarm_store_call_seconds_count{call="read"}"#, 3.0),
        (
            r#"gofarm_store_call_seconds_count{call="find_missing"}"#,
            2.0,
        ),
        (r#"gofarm_store_call_seconds_count{call="get_action"}"#, 4.0),
        (
            r#"gofarm_store_call_seconds_count{call="record_action"}"#,
            2.0,
        ),
        (
            r#"gofarm_rpc_seconds_count{method="gofarm.v1.Leases/Complete",code="Ok"}"#,
            4.0,
        ),
        (r#"gofarm_rpc_bytes_total{direction="in"}"#, 1000.0),
        (r#"gofarm_rpc_bytes_total{direction="out"}"#, 1000.0),
    ] {
        until_at_least(&scheduler, metric, least);
    }
    // How deep the queue was is over.
    assert_eq!(value(&scheduler, depth), Some(0.0));
    documented(&scheduler);
}

/// Every metric that there is stands in the page for those who run a farm.
fn documented(scheduler: &Scheduler) {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/deploy.md"));
    let page = page.unwrap();
    let (_, text) = scheduler.get("/metrics", None);
    for line in text.lines() {
        let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|of| of.split_once(' '))
        else {
            continue;
        };
        let name = match kind {
            "counter" => format!("{name}_total"),
            _ => name.to_owned(),
        };
        assert!(
            [format!("`{name}{{"), format!("`{name}`")]
                .iter()
                .any(|written| page.contains(written)),
            "{name} is not in docs/deploy.md"
        );
    }
}

fn value(scheduler: &Scheduler, metric: &str) -> Option<f64> {
    let (_, text) = scheduler.get("/metrics", None);
    let line = text.lines().find_map(|line| line.strip_prefix(metric))?;
    Some(line.trim().parse().unwrap())
}

fn until_at_least(scheduler: &Scheduler, metric: &str, least: f64) {
    let begun = Instant::now();
    loop {
        let now = value(scheduler, metric);
        if now.is_some_and(|now| now >= least) {
            return;
        }
        assert!(
            begun.elapsed() < LIMIT,
            "{metric} is {now:?}, not {least}:\n{}",
            scheduler.get("/metrics", None).1
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
