//! Tasks, requests and shortcuts for the rules.

use std::sync::Arc;
use std::time::Duration;

use gofarm_proto::{ActionKey, Digest, v1};

use super::{OPTIONS, Subject};
use crate::{Lease, LeaseQueue, LeaseRequest, News, Owner, QueueOptions};
use gofarm_engine::core::{
    ActionResult, BuildId, Near, Outcome, OutputFile, Priority, RunId, Share, Task,
};

/// 2^30 bytes.
pub const GIB: u64 = 1 << 30;

/// Longer than anything happens in; not waited for unless a test fails.
pub const LONG: Duration = Duration::from_secs(20);

/// The owner of the tasks of these tests.
pub fn owner() -> Owner {
    "scheduler-1".into()
}

/// A task by number, which is also its run and its priority.
pub fn task(number: u8) -> Task {
    Task {
        key: ActionKey([number; 32]),
        run: RunId(number.into()),
        definition: Digest::of(&[number]),
        produced: [].into(),
        label: format!("compile {number}").into(),
        package: format!("{number}").into(),
        kind: v1::Kind::Compile,
        pool: "default".into(),
        share: Share {
            user: "ann".into(),
            build: BuildId(1),
        },
        priority: Priority::of_remaining_path(number.into()),
        duration_estimate: None,
        memory_estimate: Some(1 << 20),
        near: None,
        exclusive: false,
        attempt: 1,
    }
}

/// A worker with 8 slots and 8 GiB, none of it used.
pub fn request(worker: &str) -> LeaseRequest {
    LeaseRequest {
        worker: worker.into(),
        pools: ["default".into()].into(),
        max: 8,
        wait: Duration::ZERO,
        running: 0,
        free_memory: 8 * GIB,
        total_memory: 8 * GIB,
        ahead: false,
    }
}

/// A success, with an output or without.
pub fn success(output: Option<Digest>) -> Outcome {
    let outputs = output.into_iter().map(|digest| OutputFile {
        name: "export".into(),
        digest,
        executable: false,
    });
    Outcome::Succeeded(Arc::new(ActionResult {
        outputs: outputs.collect(),
        ..ActionResult::default()
    }))
}

/// A queue with its surroundings and one owner's point of view.
pub struct Fixture<S> {
    /// What is tested.
    pub subject: S,
    /// Its queue.
    pub queue: Arc<dyn LeaseQueue>,
}

impl<S: Subject> Fixture<S> {
    /// A queue of its own.
    pub async fn start() -> Fixture<S> {
        Self::start_with(OPTIONS).await
    }

    /// A farm that looks only when it is rung for: what the poll would find is not found in time.
    pub async fn start_without_poll() -> Fixture<S> {
        Self::start_with(QueueOptions {
            poll_interval: LONG,
            ..OPTIONS
        })
        .await
    }

    async fn start_with(options: QueueOptions) -> Fixture<S> {
        let subject = S::start(options).await;
        let queue = subject.queue();
        Fixture { subject, queue }
    }

    /// Puts tasks there.
    pub async fn enqueue(&self, tasks: impl IntoIterator<Item = Task>) {
        let tasks = tasks.into_iter().collect();
        self.queue.enqueue(&owner(), tasks).await.unwrap();
    }

    /// What a worker gets that asks now.
    pub async fn lease(&self, worker: &str) -> Vec<Lease> {
        self.queue.lease(request(worker)).await.unwrap()
    }

    /// At most so many.
    pub async fn lease_some(&self, worker: &str, max: usize) -> Vec<Lease> {
        let request = LeaseRequest {
            max,
            ..request(worker)
        };
        self.queue.lease(request).await.unwrap()
    }

    /// The one task that this worker gets.
    pub async fn lease_one(&self, worker: &str) -> Lease {
        let mut leases = self.lease(worker).await;
        assert_eq!(leases.len(), 1, "{leases:?}");
        leases.remove(0)
    }

    /// The task with this number, of several that could be had.
    pub async fn lease_one_of(&self, number: u8) -> Lease {
        let mut leases = self.lease_some("w1", 1).await;
        assert_eq!(numbers(&leases), [number]);
        leases.remove(0)
    }

    /// What the owner is told now.
    pub async fn news(&self) -> Vec<News> {
        let news = self.queue.news(&owner(), 1000, Duration::ZERO).await;
        news.unwrap()
    }

    /// The news, without those about starts: (key's number, run, outcome).
    pub async fn ends(&self) -> Vec<(u8, RunId, Outcome)> {
        ends(self.news().await)
    }

    /// Lets all leases that are not renewed run out.
    pub async fn expire(&self) {
        self.subject
            .advance(OPTIONS.lease_ttl + Duration::from_millis(50))
            .await;
    }
}

/// The ends among news: task, run, outcome.
pub fn ends(news: Vec<News>) -> Vec<(u8, RunId, Outcome)> {
    let ends = news.into_iter().filter_map(|news| match news {
        News::Done {
            key, run, outcome, ..
        } => Some((key.0[0], run, outcome)),
        News::Started { .. } | News::Joined { .. } | News::Log { .. } | News::Forgotten => None,
    });
    ends.collect()
}

/// Numbers of leased tasks.
pub fn numbers(leases: &[Lease]) -> Vec<u8> {
    leases.iter().map(|lease| lease.task.key.0[0]).collect()
}

/// Ends tasks of several shares in every way in which a task can end.
pub async fn leave_nothing<S: Subject>(subject: &S) {
    let queue = subject.queue();
    let of = |number: u8| Task {
        share: Share {
            user: format!("user {}", number % 3).into(),
            build: BuildId((number % 5).into()),
        },
        exclusive: number == 9,
        // Of those that are cancelled, ended and lost.
        near: number.is_multiple_of(4).then(|| Near {
            worker: "w2".into(),
            patience: LONG,
        }),
        ..task(number)
    };
    queue.lease(request("w2")).await.unwrap();
    let all = || (1..=9).map(of).collect::<Vec<Task>>();
    queue.enqueue(&owner(), all()).await.unwrap();
    // Again, by a share that may be earlier.
    let moved = all().into_iter().map(|task| Task {
        share: of(1).share,
        ..task
    });
    queue.enqueue(&owner(), moved.collect()).await.unwrap();
    let alone = queue.lease(request("w1")).await.unwrap();
    assert_eq!(numbers(&alone), [9]);
    let leases = queue.lease(request("w2")).await.unwrap();
    assert_eq!(leases.len(), 8);
    queue.complete(&alone[0].id, success(None)).await.unwrap();
    queue.complete(&leases[0].id, success(None)).await.unwrap();
    queue.release(&leases[1].id).await.unwrap();
    let slow = [
        (leases[3].id.key, leases[3].task.run),
        (leases[4].id.key, leases[4].task.run),
    ];
    queue.back_up(&owner(), &slow).await.unwrap();
    let second = queue.lease(request("w1")).await.unwrap();
    assert_eq!(second.len(), 2);
    queue.complete(&second[0].id, success(None)).await.unwrap();
    // Two of which nobody wants that a second worker runs them, in the end.
    let slow = [
        (leases[5].id.key, leases[5].task.run),
        (leases[2].id.key, leases[2].task.run),
    ];
    queue.back_up(&owner(), &slow).await.unwrap();
    let cancel: Vec<_> = all().iter().map(|task| (task.key, task.run)).collect();
    queue.enqueue(&owner(), vec![of(20), of(21)]).await.unwrap();
    let waiting = [(of(20).key, of(20).run), (of(21).key, of(21).run)];
    queue.cancel(&owner(), &waiting).await.unwrap();
    queue.cancel(&owner(), &cancel).await.unwrap();
    let done = queue.complete(&leases[2].id, Outcome::Cancelled).await;
    done.unwrap();
    let ttl = OPTIONS.lease_ttl + Duration::from_millis(50);
    subject.advance(ttl).await;
    queue.reap(100).await.unwrap();
    let stats = queue.stats().await.unwrap();
    assert_eq!((stats.queued, stats.leased), (0, 0));
}
