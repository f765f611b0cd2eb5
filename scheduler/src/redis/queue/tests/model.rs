//! Random sequences of calls, told to the queue on Redis and to the one in process: each answer must be the same.
//!
//! Time is told to both: the scripts read it from a key, which only scripts of tests do. A case that fails is shrunk and printed.
//! Other cases than the usual ones: `GOFARM_QUEUE_SEED=7 GOFARM_QUEUE_CASES=5000`.

use std::collections::HashMap;
use std::time::Instant;

use gofarm_engine::core::{
    ActionResult, BuildId, FencingToken, Near, Outcome, Priority, RunId, Share, Task,
};
use gofarm_queue::conformance::OPTIONS;
use gofarm_queue::conformance::fixture::{GIB, success, task};
use gofarm_queue::{
    InProcessQueue, LeaseId, LeaseRequest, ManualClock, News, QueueError, Renewal, TaskOutput,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::*;

/// A case more than this is for another run.
const LONG_ENOUGH: Duration = Duration::from_secs(8);

const OWNERS: u8 = 3;
const WORKERS: u8 = 4;
const TASKS: u8 = 8;

/// One call, or time that passes. Owners, workers and tasks are few, so that they meet.
#[derive(Clone, Debug)]
enum Call {
    /// One, since where a share begins that had nothing is as it was when a step began, and a call may be one step or several.
    Enqueue(u8, Wanted),
    /// The task, and how many runs before the latest.
    Cancel(u8, u8, u64),
    BackUp(u8, u8),
    Lease {
        worker: u8,
        max: usize,
        running: usize,
        free: u64,
        ahead: bool,
    },
    /// By the lease that was given so many back.
    Renew(Vec<usize>),
    Print(usize),
    Complete(usize, End),
    Hear(u8),
    Pass(u64),
    Reap,
    Count,
}

#[derive(Clone, Debug)]
struct Wanted {
    task: u8,
    /// How many runs before the latest.
    back: u64,
    share: u8,
    priority: u64,
    exclusive: bool,
    near: Option<(u8, u64)>,
}

#[derive(Clone, Debug)]
enum End {
    Success,
    NotUploaded,
    Failure,
    Crash,
    NoMemory,
    Released,
    Cancelled,
    BlobsMissing,
}

fn call() -> impl Strategy<Value = Call> {
    let (owner, worker, number) = (0..OWNERS, 0..WORKERS, 0..TASKS);
    let back = prop_oneof![5 => Just(0u64), 1 => 1u64..3];
    let near = prop::option::weighted(0.2, (worker.clone(), 1u64..600));
    let exclusive = prop::bool::weighted(0.1);
    let wanted = (
        number.clone(),
        back.clone(),
        0u8..5,
        0u64..4,
        exclusive,
        near,
    )
        .prop_map(|(task, back, share, priority, exclusive, near)| Wanted {
            task,
            back,
            share,
            priority,
            exclusive,
            near,
        });
    let lease = (
        worker,
        1usize..4,
        0usize..2,
        0u64..9,
        prop::bool::weighted(0.1),
    )
        .prop_map(|(worker, max, running, free, ahead)| Call::Lease {
            worker,
            max,
            running,
            free,
            ahead,
        });
    let end = prop_oneof![
        4 => Just(End::Success),
        1 => Just(End::NotUploaded),
        2 => Just(End::Failure),
        1 => Just(End::Crash),
        1 => Just(End::NoMemory),
        1 => Just(End::Released),
        2 => Just(End::Cancelled),
        1 => Just(End::BlobsMissing),
    ];
    let times = [1, 30, 100, 199, 200, 399, 400, 401, 600, 1_200, 2_000];
    let held = 0usize..5;
    prop_oneof![
        6 => (owner.clone(), wanted).prop_map(|(owner, wanted)| Call::Enqueue(owner, wanted)),
        2 => (owner.clone(), number.clone(), back).prop_map(|(o, n, b)| Call::Cancel(o, n, b)),
        2 => (owner.clone(), number).prop_map(|(owner, number)| Call::BackUp(owner, number)),
        7 => lease,
        3 => prop::collection::vec(held.clone(), 1..4).prop_map(Call::Renew),
        1 => held.clone().prop_map(Call::Print),
        5 => (held, end).prop_map(|(held, end)| Call::Complete(held, end)),
        3 => owner.prop_map(Call::Hear),
        4 => prop::sample::select(times.to_vec()).prop_map(Call::Pass),
        2 => Just(Call::Reap),
        1 => Just(Call::Count),
    ]
}

/// A queue, and what was given and said so far.
struct Side {
    queue: Arc<dyn LeaseQueue>,
    given: Vec<LeaseId>,
    numbers: HashMap<FencingToken, usize>,
    /// The latest run of each task, the same for all owners.
    runs: HashMap<u8, u64>,
}

fn owner(number: u8) -> Arc<str> {
    format!("owner {number}").into()
}

fn worker(number: u8) -> Arc<str> {
    format!("worker {number}").into()
}

/// What a worker serves, and its memory: the same as long as it lives.
fn parts(worker: u8) -> Arc<[Arc<str>]> {
    let (a, b) = ("default:a", "default:b");
    let parts: &[&str] = match worker {
        0 => &[a],
        1 => &[a, b],
        2 => &[b, a],
        _ => &[b],
    };
    parts.iter().map(|part| (*part).into()).collect()
}

fn memory(worker: u8) -> u64 {
    [2, 4, 8, 8][usize::from(worker)] * GIB
}

impl Side {
    fn new(queue: Arc<dyn LeaseQueue>) -> Side {
        Side {
            queue,
            given: Vec::new(),
            numbers: HashMap::new(),
            runs: HashMap::new(),
        }
    }

    fn run(&mut self, task: u8, back: u64) -> RunId {
        let latest = self.runs.entry(task).or_insert(3);
        if back == 0 {
            *latest += 1;
        }
        RunId(*latest - back)
    }

    fn task(&mut self, wanted: &Wanted) -> Task {
        let number = wanted.task;
        Task {
            run: self.run(number, wanted.back),
            // An action has one platform, and takes what it takes.
            pool: ["default:a", "default:b"][usize::from(number % 2)].into(),
            memory_estimate: match number {
                0 | 1 => None,
                number => Some(u64::from(number) * GIB - 1),
            },
            duration_estimate: (!number.is_multiple_of(3)).then_some(u64::from(number) * 70),
            share: Share {
                user: format!("user {}", wanted.share % 2).into(),
                build: BuildId(wanted.share.into()),
            },
            priority: Priority::of_remaining_path(wanted.priority),
            exclusive: wanted.exclusive,
            near: wanted.near.map(|(near, patience)| Near {
                worker: worker(near),
                patience: Duration::from_millis(patience),
            }),
            ..task(number)
        }
    }

    fn held(&self, back: usize) -> Option<LeaseId> {
        let place = self.given.len().checked_sub(1 + back)?;
        self.given.get(place).copied()
    }

    fn number(&self, token: FencingToken) -> String {
        format!("{:?}", self.numbers.get(&token))
    }

    /// News of one owner in words, those of each task in their order. In which order tasks end that end in one step is nobody's
    /// concern.
    fn told(&self, news: Vec<News>) -> String {
        let mut told: Vec<(u8, String)> = Vec::new();
        for news in news {
            told.push(match news {
                News::Done {
                    key,
                    run,
                    worker,
                    lease,
                    outcome,
                } => {
                    let lease = lease.map(|token| self.number(token));
                    let end = match outcome {
                        // Of two leases that have run out, either may be named.
                        Outcome::LostLease => format!("done {run:?} {outcome:?}"),
                        _ => format!("done {run:?} {worker:?} {lease:?} {outcome:?}"),
                    };
                    (key.0[0], end)
                }
                News::Started { key, run, worker } => {
                    (key.0[0], format!("started {run:?} {worker}"))
                }
                News::Joined { key, run } => (key.0[0], format!("joined {run:?}")),
                News::Log {
                    key,
                    run,
                    offset,
                    data,
                } => (key.0[0], format!("log {run:?} {offset} {data:?}")),
                News::Forgotten => (u8::MAX, "forgotten".to_owned()),
            });
        }
        told.sort_by_key(|(key, _)| *key);
        format!("{told:?}")
    }

    /// Makes a call, and says in words what came of it.
    async fn made(&mut self, call: &Call) -> String {
        let queue = self.queue.clone();
        match call {
            Call::Enqueue(by, wanted) => {
                let task = self.task(wanted);
                queue.enqueue(&owner(*by), vec![task]).await.unwrap();
                String::new()
            }
            Call::Cancel(by, number, back) => {
                let latest = self.runs.get(number).copied().unwrap_or(3);
                let gone = (task(*number).key, RunId(latest - back));
                queue.cancel(&owner(*by), &[gone]).await.unwrap();
                String::new()
            }
            Call::BackUp(by, number) => {
                let latest = self.runs.get(number).copied().unwrap_or(3);
                let slow = (task(*number).key, RunId(latest));
                queue.back_up(&owner(*by), &[slow]).await.unwrap();
                String::new()
            }
            Call::Lease {
                worker: number,
                max,
                running,
                free,
                ahead,
            } => {
                let total = memory(*number);
                let request = LeaseRequest {
                    worker: worker(*number),
                    pools: parts(*number),
                    max: *max,
                    wait: Duration::ZERO,
                    running: *running,
                    free_memory: match running {
                        0 => total,
                        _ => (free * GIB).min(total),
                    },
                    total_memory: total,
                    ahead: *ahead,
                };
                let leases = queue.lease(request).await.unwrap();
                let mut said = String::new();
                for lease in leases {
                    self.numbers.insert(lease.id.token, self.given.len());
                    self.given.push(lease.id);
                    let task = &lease.task;
                    said += &format!(
                        "{} {:?} {:?} {} {:?} {:?}; ",
                        task.key.0[0],
                        task.share,
                        task.priority,
                        task.exclusive,
                        lease.deadline,
                        lease.ttl
                    );
                }
                said
            }
            Call::Renew(back) => {
                let held: Vec<LeaseId> = back.iter().filter_map(|back| self.held(*back)).collect();
                format!("{:?}", queue.renew(&held).await.unwrap())
            }
            Call::Print(back) => {
                let outputs = self.held(*back).map(|lease| TaskOutput {
                    lease,
                    offset: 0,
                    data: b"printed"[..].into(),
                });
                let outputs: Vec<TaskOutput> = outputs.into_iter().collect();
                let answers: Vec<Renewal> = queue.append_log(&outputs).await.unwrap();
                format!("{answers:?}")
            }
            Call::Complete(back, end) => {
                let Some(lease) = self.held(*back) else {
                    return String::new();
                };
                let outcome = match end {
                    End::Success => success(None),
                    End::NotUploaded => success(Some(Digest::of(b"not there"))),
                    End::Failure => Outcome::Failed(Arc::new(ActionResult {
                        exit_code: 1,
                        ..ActionResult::default()
                    })),
                    End::Crash => Outcome::Crashed { reason: "x".into() },
                    End::NoMemory => Outcome::OutOfMemory {
                        alone: false,
                        reason: "x".into(),
                    },
                    End::Released => Outcome::Released,
                    End::Cancelled => Outcome::Cancelled,
                    End::BlobsMissing => Outcome::BlobsMissing([Digest::of(b"input")].into()),
                };
                let completed: Result<Arc<str>, QueueError> = queue.complete(&lease, outcome).await;
                format!("{completed:?}")
            }
            Call::Hear(by) => {
                let news = queue.news(&owner(*by), 1_000, Duration::ZERO).await;
                self.told(news.unwrap())
            }
            Call::Pass(_) => String::new(),
            Call::Reap => format!("{:?}", queue.reap(1_000).await.unwrap()),
            Call::Count => format!("{:?}", queue.stats().await.unwrap()),
        }
    }
}

fn number_of(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn on_redis_every_answer_is_as_in_process() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = RedisServer::start();
    let (cases, failed) = (AtomicU32::new(0), AtomicU32::new(0));
    let config = Config {
        cases: number_of("GOFARM_QUEUE_CASES").map_or(300, |cases| cases as u32),
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..Config::default()
    };
    let seed = number_of("GOFARM_QUEUE_SEED");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.unwrap_or(0).to_le_bytes());
    // The same in each run: what fails is the fault of a change.
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, random);
    let calls = prop::collection::vec(call(), 1..60);
    let begun = Instant::now();
    let outcome = runner.run(&calls, |calls| {
        let case = cases.fetch_add(1, Ordering::Relaxed);
        let shrinks = failed.load(Ordering::Relaxed) > 0;
        if seed.is_none() && !shrinks && begun.elapsed() > LONG_ENOUGH {
            return Ok(());
        }
        runtime.block_on(async {
            let blobs = Arc::new(Blobs::default());
            let namespace = format!("model{case}");
            let url = server.url(0);
            let mut connection = server.connection(0);
            let clock = Arc::new(ManualClock::default());
            let mut pass = |by: u64| {
                clock.advance(Duration::from_millis(by));
                let now = gofarm_queue::Clock::now(&*clock).0;
                let mut set = redis::cmd("SET");
                set.arg(format!("{namespace}:{{default}}:clock")).arg(now);
                set.exec(&mut connection).unwrap();
            };
            // What was never heard of was not heard of for long on both clocks.
            pass(1_000_000);
            let queue = RedisQueue::connect(url.as_str(), &namespace, OPTIONS, blobs.clone()).await;
            let mut redis = Side::new(Arc::new(queue.unwrap()));
            let queue = InProcessQueue::new(OPTIONS, clock.clone(), blobs);
            let mut model = Side::new(Arc::new(queue));
            let end = [Call::Pass(5_000), Call::Reap, Call::Count];
            let end = end.into_iter().chain((0..OWNERS).map(Call::Hear));
            for (at, call) in calls.iter().cloned().chain(end).enumerate() {
                if let Call::Pass(by) = call {
                    pass(by);
                }
                let found = redis.made(&call).await;
                let expected = model.made(&call).await;
                if found != expected {
                    failed.fetch_add(1, Ordering::Relaxed);
                }
                prop_assert_eq!(found, expected, "Redis and model, call {}: {:?}", at, call);
            }
            Ok(())
        })
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
