//! Measures the lease queue on a redis-server of its own, and prints a table: tasks leased and completed in a second,
//! how long a task that is ready waits for its lease, and what workers cost that have nothing to do.
//!
//! `cargo run --release -p gofarm-scheduler --example lease_queue [TASKS]`; needs `redis-server` in PATH.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::future::{join_all, try_join_all};
use gofarm_engine::core::{ActionResult, BuildId, Outcome, Priority, RunId, Share, Task};
use gofarm_proto::{ActionKey, Digest, v1};
use gofarm_queue::{BlobPresence, LeaseQueue, LeaseRequest, News, Owner, QueueError, QueueOptions};
use gofarm_scheduler::redis::RedisQueue;
use gofarm_testkit::RedisServer;

const WORKERS: usize = 8;
const SLOTS: usize = 16;
/// Builds that share the farm, of a tenth as many users.
const BUILDS: u64 = 50;
const IDLE_WORKERS: usize = 100;
/// Tasks a second, well below what the queue can do.
const MODERATE_LOAD: u32 = 500;

struct EverythingIsThere;

#[async_trait]
impl BlobPresence for EverythingIsThere {
    async fn missing(&self, _: &[Digest]) -> Result<Vec<Digest>, String> {
        Ok(Vec::new())
    }
}

#[tokio::main]
async fn main() -> Result<(), QueueError> {
    let tasks = std::env::args().nth(1).and_then(|arg| arg.parse().ok());
    let tasks: u64 = tasks.unwrap_or(50_000);
    row("what", "measured", "target");
    for (what, builds) in [
        ("tasks leased and completed", 1),
        ("the same, of 50 builds of 5 users", BUILDS),
    ] {
        let rate = throughput(tasks, builds).await?;
        row(what, &format!("{rate:.0}/s"), ">= 5000/s");
    }
    let mut waits = latency(5_000).await?;
    waits.sort_unstable();
    for (name, part, target) in [("p50", 50, "< 2 ms"), ("p99", 99, "< 10 ms")] {
        let wait = waits[(waits.len() - 1) * part / 100].as_secs_f64() * 1e3;
        let what = format!("ready to leased at {MODERATE_LOAD} tasks/s, {name}");
        row(&what, &format!("{wait:.2} ms"), target);
    }
    let (calls, commands) = idle().await?;
    let what = format!("scripts run with {IDLE_WORKERS} idle workers");
    row(&what, &format!("{calls:.0}/s"), "");
    let what = "all commands, with those inside of the scripts";
    row(what, &format!("{commands:.0}/s"), "< 200/s");
    Ok(())
}

fn row(what: &str, measured: &str, target: &str) {
    println!("{what:<58} {measured:>10}  {target}");
}

async fn connect(server: &RedisServer) -> Result<Arc<RedisQueue>, QueueError> {
    let (options, blobs) = (QueueOptions::default(), Arc::new(EverythingIsThere));
    let queue = RedisQueue::connect(server.url(0), "bench", options, blobs).await?;
    Ok(Arc::new(queue))
}

fn owner() -> Owner {
    "scheduler".into()
}

/// A task of one of so many builds.
fn task(number: u64, builds: u64) -> Task {
    let build = number % builds;
    let definition = Digest::of(&number.to_le_bytes());
    Task {
        key: ActionKey(definition.hash),
        run: RunId(number),
        definition,
        produced: [].into(),
        label: format!("compile example.com/project/package{number}").into(),
        package: format!("example.com/project/package{number}").into(),
        kind: v1::Kind::Compile,
        pool: "default:linux/amd64".into(),
        share: Share {
            user: format!("user {}", build % builds.div_ceil(10)).into(),
            build: BuildId(build.into()),
        },
        priority: Priority::of_remaining_path(number % 997),
        duration_estimate: None,
        memory_estimate: Some(((number % 4) + 1) << 26),
        near: None,
        exclusive: false,
        attempt: 1,
    }
}

fn request(worker: usize) -> LeaseRequest {
    LeaseRequest {
        worker: format!("worker-{worker}").into(),
        pools: [
            "default:linux/amd64".into(),
            "default:linux/amd64/gcc".into(),
        ]
        .into(),
        max: SLOTS,
        wait: Duration::from_secs(1),
        running: 0,
        free_memory: 64 << 30,
        total_memory: 64 << 30,
        ahead: false,
    }
}

/// Takes tasks and completes them until there have been so many.
async fn work(
    queue: Arc<RedisQueue>,
    worker: usize,
    left: Arc<AtomicU64>,
    leased: impl Fn(u64),
) -> Result<(), QueueError> {
    let done = Outcome::Succeeded(Arc::new(ActionResult::default()));
    while left.load(Ordering::Relaxed) > 0 {
        let leases = queue.lease(request(worker)).await?;
        leases.iter().for_each(|lease| leased(lease.task.run.0));
        let completed = leases.iter().map(|l| queue.complete(&l.id, done.clone()));
        try_join_all(completed).await?;
        left.fetch_sub(leases.len() as u64, Ordering::Relaxed);
    }
    Ok(())
}

/// Hears of the end of so many tasks.
async fn listen(queue: Arc<RedisQueue>, mut open: u64) -> Result<(), QueueError> {
    while open > 0 {
        let news = queue.news(&owner(), 1000, Duration::from_secs(1)).await?;
        let done = news.iter().filter(|n| matches!(n, News::Done { .. }));
        open -= done.count() as u64;
    }
    Ok(())
}

/// From the first enqueue to the last news of an end.
async fn throughput(tasks: u64, builds: u64) -> Result<f64, QueueError> {
    let server = RedisServer::start();
    let queue = connect(&server).await?;
    let left = Arc::new(AtomicU64::new(tasks));
    let begin = Instant::now();
    let workers = (0..WORKERS).map(|worker| {
        let (queue, left) = (queue.clone(), left.clone());
        tokio::spawn(async move { work(queue, worker, left, |_| {}).await })
    });
    let workers: Vec<_> = workers.collect();
    let heard = tokio::spawn(listen(queue.clone(), tasks));
    for first in (0..tasks).step_by(256) {
        let batch = (first..tasks.min(first + 256)).map(|number| task(number, builds));
        queue.enqueue(&owner(), batch.collect()).await?;
    }
    join(heard).await?;
    let rate = tasks as f64 / begin.elapsed().as_secs_f64();
    for worker in workers {
        join(worker).await?;
    }
    Ok(rate)
}

async fn join<T>(task: tokio::task::JoinHandle<Result<T, QueueError>>) -> Result<T, QueueError> {
    task.await.unwrap_or_else(|error| {
        Err(QueueError::Unavailable {
            reason: error.to_string(),
        })
    })
}

/// From the call that makes a task known to the moment at which a worker has it.
async fn latency(tasks: u64) -> Result<Vec<Duration>, QueueError> {
    let server = RedisServer::start();
    let queue = connect(&server).await?;
    let begin = Instant::now();
    let since = move || begin.elapsed().as_nanos() as u64;
    let times: Arc<Vec<[AtomicU64; 2]>> =
        Arc::new((0..tasks).map(|_| Default::default()).collect());
    let left = Arc::new(AtomicU64::new(tasks));
    let workers = (0..WORKERS).map(|worker| {
        let (queue, left, times) = (queue.clone(), left.clone(), times.clone());
        let note = move |number: u64| times[number as usize][1].store(since(), Ordering::Relaxed);
        tokio::spawn(async move { work(queue, worker, left, note).await })
    });
    let workers: Vec<_> = workers.collect();
    let heard = tokio::spawn(listen(queue.clone(), tasks));
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / MODERATE_LOAD);
    for number in 0..tasks {
        ticks.tick().await;
        times[number as usize][0].store(since(), Ordering::Relaxed);
        queue.enqueue(&owner(), vec![task(number, 1)]).await?;
    }
    join(heard).await?;
    for worker in workers {
        join(worker).await?;
    }
    let waits = times.iter().map(|[ready, leased]| {
        let nanos = leased.load(Ordering::Relaxed) - ready.load(Ordering::Relaxed);
        Duration::from_nanos(nanos)
    });
    Ok(waits.collect())
}

/// Scripts a second, and commands a second with those inside of scripts, while nothing happens but what always does.
async fn idle() -> Result<(f64, f64), QueueError> {
    let server = RedisServer::start();
    let queue = connect(&server).await?;
    let wait = Duration::from_secs(8);
    let workers = (0..IDLE_WORKERS).map(|worker| {
        let queue = queue.clone();
        tokio::spawn(async move {
            let request = LeaseRequest {
                wait,
                ..request(worker)
            };
            queue.lease(request).await
        })
    });
    let workers: Vec<_> = workers.collect();
    let scheduler = {
        let queue = queue.clone();
        tokio::spawn(async move {
            let owner = owner();
            for _ in 0..wait.as_secs() {
                let second = Duration::from_secs(1);
                queue.news(&owner, 100, second).await?;
                queue.reap(100).await?;
                queue.incarnation().await?;
            }
            Ok::<_, QueueError>(())
        })
    };
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (before, begin) = (counts(&server), Instant::now());
    tokio::time::sleep(wait - Duration::from_secs(2)).await;
    let (after, seconds) = (counts(&server), begin.elapsed().as_secs_f64());
    join_all(workers).await;
    join(scheduler).await?;
    let rate = |before: u64, after: u64| (after - before) as f64 / seconds;
    Ok((rate(before.0, after.0), rate(before.1, after.1)))
}

/// Scripts run, and all commands with those inside of scripts (`INFO commandstats`).
fn counts(server: &RedisServer) -> (u64, u64) {
    let mut info = redis::cmd("INFO");
    let info = info.arg("commandstats").query(&mut server.connection(0));
    let info: String = info.unwrap_or_default();
    let mut counts = (0, 0);
    for line in info.lines() {
        let calls = line.split_once("calls=");
        let calls = calls.and_then(|(_, rest)| rest.split(',').next()?.parse().ok());
        let calls: u64 = calls.unwrap_or(0);
        counts.1 += calls;
        if line.starts_with("cmdstat_evalsha:") {
            counts.0 += calls;
        }
    }
    counts
}
