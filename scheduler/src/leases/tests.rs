//! The service over a queue and a store in this process.

use std::time::Instant;

use async_trait::async_trait;
use gofarm_proto::v1::leases_server::Leases;
use gofarm_proto::{ActionKey, Digest};
use gofarm_store::{DiskStore, DiskStoreOptions, FarmStore};

use super::*;
use gofarm_engine::core::{BuildId, Log, Priority, RunId, Share, Task};
use gofarm_queue::{BlobPresence, InProcessQueue, MonotonicClock, News, Owner, QueueOptions};

const PLATFORM: &str = "linux/amd64";

#[derive(Default)]
struct Table(Mutex<Vec<v1::Worker>>);

impl WorkerTable for Table {
    fn note_worker(&self, worker: v1::Worker) {
        self.0.lock().unwrap().push(worker);
    }
}

struct Presence(FarmStore);

#[async_trait]
impl BlobPresence for Presence {
    async fn missing(&self, digests: &[Digest]) -> Result<Vec<Digest>, String> {
        let missing = self.0.missing(digests.to_vec()).await;
        missing.map_err(|error| error.to_string())
    }
}

struct Farm {
    service: Arc<LeasesService>,
    queue: Arc<InProcessQueue>,
    store: FarmStore,
    table: Arc<Table>,
    closing: CancellationToken,
    owner: Owner,
    _folder: tempfile::TempDir,
}

impl Farm {
    fn new() -> Farm {
        let folder = tempfile::tempdir().unwrap();
        let local = DiskStore::open(folder.path(), DiskStoreOptions::default()).unwrap();
        let store = FarmStore::on_disk(local);
        let queue = Arc::new(InProcessQueue::new(
            QueueOptions::default(),
            Arc::new(MonotonicClock::new()),
            Arc::new(Presence(store.clone())),
        ));
        let table = Arc::new(Table::default());
        let closing = CancellationToken::new();
        let service =
            LeasesService::new(queue.clone(), store.clone(), table.clone(), closing.clone());
        Farm {
            service: Arc::new(service),
            queue,
            store,
            table,
            closing,
            owner: "replica".into(),
            _folder: folder,
        }
    }

    async fn enqueue(&self, number: u8) -> ActionKey {
        let key = ActionKey([number; 32]);
        let task = Task {
            key,
            run: RunId(number.into()),
            definition: Digest::of(&[number]),
            produced: [Digest::of(b"made")].into(),
            label: "compile a".into(),
            package: "a".into(),
            kind: v1::Kind::Compile,
            pool: "default:linux/amd64".into(),
            share: Share {
                user: "ann".into(),
                build: BuildId(1),
            },
            priority: Priority::of_remaining_path(1),
            duration_estimate: None,
            memory_estimate: Some(7),
            near: None,
            exclusive: false,
            attempt: 1,
        };
        self.queue.enqueue(&self.owner, vec![task]).await.unwrap();
        key
    }

    async fn acquire(&self, worker: &str, wait_ms: u32) -> Vec<v1::Lease> {
        let request = Request::new(asks(worker, wait_ms));
        self.service
            .acquire(request)
            .await
            .unwrap()
            .into_inner()
            .leases
    }

    async fn complete(
        &self,
        worker: &str,
        lease: &v1::Lease,
        outcome: v1::outcome::Outcome,
    ) -> v1::CompleteResponse {
        let request = v1::CompleteRequest {
            lease: lease.id.clone(),
            worker: worker.to_owned(),
            outcome: Some(v1::Outcome {
                outcome: Some(outcome),
            }),
            next: Some(asks(worker, 0)),
        };
        let answer = self.service.complete(Request::new(request)).await;
        answer.unwrap().into_inner()
    }
}

fn asks(worker: &str, wait_ms: u32) -> v1::AcquireRequest {
    v1::AcquireRequest {
        worker: worker.to_owned(),
        pool: String::new(),
        platforms: vec![PLATFORM.to_owned(), format!("{PLATFORM}/gcc")],
        slots: 2,
        free_slots: 1,
        total_memory: 1 << 30,
        free_memory: 1 << 29,
        wait_ms,
        ahead: false,
        c_toolchains: Vec::new(),
    }
}

fn success(outputs: &[Digest]) -> v1::outcome::Outcome {
    v1::outcome::Outcome::Succeeded(v1::ActionResult {
        outputs: outputs
            .iter()
            .map(|digest| v1::OutputFile {
                name: digest.hex(),
                digest: Some((*digest).into()),
                executable: false,
            })
            .collect(),
        ..v1::ActionResult::default()
    })
}

#[tokio::test]
async fn a_success_is_recorded_and_the_next_task_comes_with_the_answer() {
    let farm = Farm::new();
    let (first, second) = (farm.enqueue(1).await, farm.enqueue(2).await);
    let leases = farm.acquire("w", 0).await;
    assert_eq!(leases.len(), 1);
    let task = leases[0].task.as_ref().unwrap();
    assert_eq!((task.memory_estimate, task.attempt), (7, 1));
    assert_eq!(leases[0].id.as_ref().unwrap().key, first.0);

    // Upload comes before complete.
    let output = Digest::of(b"output");
    let answer = farm.complete("w", &leases[0], success(&[output])).await;
    assert_eq!(answer.state(), v1::LeaseState::LeaseHeld);
    assert_eq!(answer.missing, [output.into()]);
    assert_eq!(farm.store.action(first).await.unwrap(), None);

    farm.store.put_bytes(b"output".to_vec()).await.unwrap();
    let answer = farm.complete("w", &leases[0], success(&[output])).await;
    assert!(answer.missing.is_empty());
    assert!(farm.store.action(first).await.unwrap().is_some());
    // The first answer has brought the second task along already.
    let again = farm.complete("w", &leases[0], success(&[output])).await;
    assert_eq!(again.state(), v1::LeaseState::LeaseLost);
    assert_eq!(farm.queue.stats().await.unwrap().leased, 1, "{second}");

    let listed = farm.table.0.lock().unwrap();
    let listed = listed.last().unwrap();
    assert_eq!(
        (listed.slots, listed.running, &*listed.pool),
        (2, 1, "default")
    );
}

#[tokio::test]
async fn a_worker_that_takes_ahead_is_listed_as_full_and_no_more() {
    let farm = Farm::new();
    let listed = || farm.table.0.lock().unwrap().last().unwrap().running;
    let acquire = async |request| {
        let answer = farm.service.acquire(Request::new(request)).await;
        answer.unwrap().into_inner().leases
    };
    for number in 1..=3 {
        farm.enqueue(number).await;
    }
    let both = v1::AcquireRequest {
        free_slots: 2,
        free_memory: 1 << 30,
        ..asks("w", 0)
    };
    let mut leases = acquire(both).await;
    assert_eq!((leases.len(), listed()), (2, 0));
    // Whatever memory its tasks leave.
    for free_memory in [1 << 30, 1 << 29] {
        let ahead = v1::AcquireRequest {
            ahead: true,
            free_memory,
            ..asks("w", 0)
        };
        leases.extend(acquire(ahead).await);
        assert_eq!((leases.len(), listed()), (3, 2));
    }
    let renew = v1::RenewRequest {
        worker: "w".to_owned(),
        leases: leases.into_iter().filter_map(|lease| lease.id).collect(),
    };
    farm.service.renew(Request::new(renew)).await.unwrap();
    assert_eq!(listed(), 2);
}

#[tokio::test]
async fn renewals_bring_cancellations_and_output_is_passed_on() {
    let farm = Farm::new();
    let key = farm.enqueue(1).await;
    let leases = farm.acquire("w", 0).await;
    let id = leases[0].id.clone().unwrap();
    let renew = || async {
        let request = v1::RenewRequest {
            worker: "w".to_owned(),
            leases: vec![id.clone()],
        };
        let answer = farm.service.renew(Request::new(request)).await.unwrap();
        answer.into_inner().states().next().unwrap()
    };
    assert_eq!(renew().await, v1::LeaseState::LeaseHeld);
    let output = v1::TaskOutput {
        lease: Some(id.clone()),
        offset: 0,
        data: b"hello".to_vec().into(),
    };
    let request = Request::new(v1::AppendLogRequest {
        outputs: vec![output],
    });
    farm.service.append_log(request).await.unwrap();
    let news = farm
        .queue
        .news(&farm.owner, 10, Duration::ZERO)
        .await
        .unwrap();
    assert!(
        news.iter()
            .any(|news| matches!(news, News::Log { data, .. } if **data == *b"hello")),
        "{news:?}"
    );
    let run = RunId(1);
    farm.queue.cancel(&farm.owner, &[(key, run)]).await.unwrap();
    assert_eq!(renew().await, v1::LeaseState::LeaseCancelled);
    farm.complete(
        "w",
        &leases[0],
        v1::outcome::Outcome::Cancelled(v1::CancelledByRequest {}),
    )
    .await;
    assert_eq!(renew().await, v1::LeaseState::LeaseLost);
}

#[tokio::test]
async fn a_waiting_worker_is_sent_away_on_shutdown() {
    let farm = Farm::new();
    let began = Instant::now();
    let (leases, ()) = tokio::join!(farm.acquire("w", 60_000), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        farm.closing.cancel();
    });
    assert!(leases.is_empty());
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_worker_that_asks_for_nothing_gets_its_answers() {
    let farm = Farm::new();
    let began = Instant::now();
    let (leases, ()) = tokio::join!(farm.acquire("w", 60_000), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut nothing = asks("w", 0);
        nothing.free_slots = 0;
        farm.service.acquire(Request::new(nothing)).await.unwrap();
    });
    assert!(leases.is_empty());
    assert!(began.elapsed() < Duration::from_secs(10));
    // Afterwards it may wait again. In the first moments the call that was answered would still take a task, and give it
    // back.
    tokio::time::sleep(2 * MID_GIFT).await;
    let (leases, _) = tokio::join!(farm.acquire("w", 60_000), farm.enqueue(1));
    assert_eq!(leases.len(), 1);
}

#[tokio::test]
async fn what_a_worker_that_hung_up_was_given_is_given_back() {
    let farm = Farm::new();
    let gone = tokio::time::timeout(Duration::from_millis(50), farm.acquire("gone", 60_000)).await;
    assert!(gone.is_err());
    farm.enqueue(1).await;
    let news = farm
        .queue
        .news(&farm.owner, 10, Duration::from_secs(10))
        .await
        .unwrap();
    let released = |news: &News| {
        matches!(
            news,
            News::Done {
                outcome: Outcome::Released,
                ..
            }
        )
    };
    let mut released = news.iter().any(released);
    if !released {
        let more = farm
            .queue
            .news(&farm.owner, 10, Duration::from_secs(10))
            .await
            .unwrap();
        released = more.iter().any(|news| {
            matches!(
                news,
                News::Done {
                    outcome: Outcome::Released,
                    ..
                }
            )
        });
    }
    assert!(released);
    assert_eq!(farm.queue.stats().await.unwrap().leased, 0);
}

#[tokio::test]
async fn a_worker_that_crashes_is_kept_waiting_while_there_are_others() {
    let farm = Farm::new();
    farm.acquire("good", 0).await;
    farm.enqueue(1).await;
    let leases = farm.acquire("bad", 0).await;
    let crashed = v1::outcome::Outcome::Crashed("no disk".to_owned());
    farm.complete("bad", &leases[0], crashed).await;
    farm.enqueue(2).await;
    assert!(farm.acquire("bad", 0).await.is_empty());
    assert_eq!(farm.acquire("good", 0).await.len(), 1);
}

#[tokio::test]
async fn a_crash_that_is_reported_again_and_again_is_one() {
    let farm = Farm::new();
    let good = {
        farm.enqueue(1).await;
        farm.acquire("good", 0).await.remove(0)
    };
    farm.enqueue(2).await;
    let lease = farm.acquire("bad", 0).await.remove(0);
    let crashed = || v1::outcome::Outcome::Crashed("no disk".to_owned());
    for _ in 0..10 {
        farm.complete("bad", &lease, crashed()).await;
    }
    farm.store.put_bytes(b"output".to_vec()).await.unwrap();
    let output = success(&[Digest::of(b"output")]);
    farm.complete("good", &good, output).await;
    farm.complete("bad", &lease, crashed()).await;
    farm.acquire("bad", 0).await;
    let listed = farm.table.0.lock().unwrap();
    let bad = listed.iter().rev().find(|worker| worker.name == "bad");
    assert_eq!(bad.unwrap().set_aside, "");
}

#[tokio::test]
async fn nobody_is_kept_waiting_for_what_others_say_of_them() {
    let farm = Farm::new();
    farm.acquire("other", 0).await;
    farm.acquire("good", 0).await;
    farm.enqueue(1).await;
    let lease = farm.acquire("evil", 0).await.remove(0);
    let crashed = || v1::outcome::Outcome::Crashed("no disk".to_owned());
    // Under a lease of its own, under the same once more, and under one that never was.
    farm.complete("good", &lease, crashed()).await;
    farm.complete("good", &lease, crashed()).await;
    let mut made_up = lease.clone();
    made_up.id.as_mut().unwrap().token.as_mut().unwrap().counter += 77;
    farm.complete("good", &made_up, crashed()).await;
    farm.enqueue(2).await;
    assert_eq!(farm.acquire("good", 0).await.len(), 1);
}

#[tokio::test]
async fn malformed_requests_are_refused() {
    let farm = Farm::new();
    let mut none = asks("w", 0);
    none.platforms.clear();
    let mut nameless = asks("", 0);
    nameless.wait_ms = 1;
    let mut odd = asks("w", 0);
    odd.platforms = vec!["linux".to_owned()];
    for request in [none, nameless, odd] {
        let refused = farm.service.acquire(Request::new(request)).await;
        assert_eq!(refused.unwrap_err().code(), tonic::Code::InvalidArgument);
    }
}

#[tokio::test]
async fn the_maker_of_a_result_is_who_held_the_lease_whatever_the_completion_says() {
    let farm = Farm::new();
    let key = farm.enqueue(1).await;
    let lease = farm.acquire("w", 0).await.remove(0);
    farm.store.put_bytes(b"output".to_vec()).await.unwrap();
    let output = success(&[Digest::of(b"output")]);
    farm.complete("somebody else", &lease, output).await;
    let made = farm.store.entry(key).await.unwrap().unwrap().made.unwrap();
    assert_eq!(made.worker, "w");
    assert_eq!(made.lease, lease.id.unwrap().token);
    assert!(made.accepted_ms > 0);
}

/// As workers report it.
fn printed(succeeds: bool, log: &[u8], log_blob: Option<v1::Digest>) -> v1::outcome::Outcome {
    use v1::outcome::Outcome;
    let result = v1::ActionResult {
        exit_code: i32::from(!succeeds),
        log: log.to_vec(),
        log_blob,
        ..v1::ActionResult::default()
    };
    match succeeds {
        true => Outcome::Succeeded(result),
        false => Outcome::Failed(result),
    }
}

#[tokio::test]
async fn a_log_that_was_never_uploaded_is_no_log() {
    let farm = Farm::new();
    for (number, succeeds) in [(1, true), (2, false)] {
        farm.enqueue(number).await;
        let leases = farm.acquire("w", 0).await;
        let text = vec![number; 100_000];
        let log = Digest::of(&text);
        // The right bytes and a wrong size are another blob.
        for claimed in [
            log,
            Digest {
                size: log.size + 1,
                ..log
            },
        ] {
            let outcome = printed(succeeds, b"", Some(claimed.into()));
            let answer = farm.complete("w", &leases[0], outcome).await;
            assert_eq!(answer.state(), v1::LeaseState::LeaseHeld);
            assert_eq!(answer.missing, [claimed.into()]);
            farm.store.put_bytes(text.clone()).await.unwrap();
        }
        let outcome = printed(succeeds, b"", Some(log.into()));
        let answer = farm.complete("w", &leases[0], outcome).await;
        assert!(answer.missing.is_empty());
        assert_eq!(farm.store.missing(vec![log]).await.unwrap(), []);
    }
    assert_eq!(farm.queue.stats().await.unwrap().leased, 0);
}

#[tokio::test]
async fn logs_that_cannot_be_are_refused() {
    let farm = Farm::new();
    farm.enqueue(1).await;
    let leases = farm.acquire("w", 0).await;
    let digest = |hash: Vec<u8>, size| Some(v1::Digest { hash, size });
    for outcome in [
        printed(true, b"", digest(vec![1; 32], u64::MAX)),
        printed(
            false,
            b"",
            digest(vec![1; 32], gofarm_proto::LONGEST_LOG + 1),
        ),
        printed(false, b"", digest(vec![1; 31], 7)),
        printed(true, b"and here", digest(vec![1; 32], 7)),
        printed(true, &vec![b'x'; INLINE_LOG + 1], digest(vec![1; 32], 7)),
    ] {
        let request = v1::CompleteRequest {
            lease: leases[0].id.clone(),
            worker: "w".to_owned(),
            outcome: Some(v1::Outcome {
                outcome: Some(outcome),
            }),
            next: None,
        };
        let refused = farm.service.complete(Request::new(request)).await;
        let status = refused.unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status}");
    }
    assert_eq!(farm.queue.stats().await.unwrap().leased, 1);
}

#[tokio::test]
async fn a_long_log_of_a_worker_of_an_earlier_version_becomes_a_blob() {
    let farm = Farm::new();
    for (number, succeeds, length) in [
        (1, true, INLINE_LOG),
        (2, true, INLINE_LOG + 1),
        (3, false, 15 << 20),
    ] {
        let key = farm.enqueue(number).await;
        let leases = farm.acquire("w", 0).await;
        let text = vec![number; length];
        let answer = farm.complete("w", &leases[0], printed(succeeds, &text, None));
        assert_eq!(answer.await.state(), v1::LeaseState::LeaseHeld);
        let news = farm.queue.news(&farm.owner, 10, Duration::ZERO).await;
        let ended = news.unwrap().into_iter().find_map(|news| match news {
            News::Done {
                outcome: Outcome::Succeeded(result) | Outcome::Failed(result),
                ..
            } => Some(result),
            _ => None,
        });
        let log = ended.unwrap().log.clone();
        match length <= INLINE_LOG {
            true => assert_eq!(log, Log::from(text)),
            false => {
                let digest = log.blob().unwrap();
                assert!(farm.store.read(digest).await.unwrap() == text);
            }
        }
        if succeeds {
            let recorded = farm.store.action(key).await.unwrap().unwrap();
            assert_eq!(
                recorded.log.len(),
                if length <= INLINE_LOG { length } else { 0 }
            );
        }
    }
}
