//! Tasks, requests and shortcuts for the rules.

use std::sync::Arc;
use std::time::Duration;

use gofarm_proto::{ActionKey, Digest, v1};

use super::{OPTIONS, Subject};
use crate::core::{ActionResult, BuildId, Outcome, OutputFile, Priority, RunId, Share, Task};
use crate::queue::{Lease, LeaseQueue, LeaseRequest, News, Owner, QueueOptions};

pub(in crate::queue) const GIB: u64 = 1 << 30;

/// Longer than anything happens in; not waited for unless a test fails.
pub(in crate::queue) const LONG: Duration = Duration::from_secs(20);

pub(in crate::queue) fn owner() -> Owner {
    "scheduler-1".into()
}

/// A task by number, which is also its run and its priority.
pub(in crate::queue) fn task(number: u8) -> Task {
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
pub(in crate::queue) fn request(worker: &str) -> LeaseRequest {
    LeaseRequest {
        worker: worker.into(),
        pools: ["default".into()].into(),
        max: 8,
        wait: Duration::ZERO,
        running: 0,
        free_memory: 8 * GIB,
        total_memory: 8 * GIB,
    }
}

pub(in crate::queue) fn success(output: Option<Digest>) -> Outcome {
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
pub(in crate::queue) struct Fixture<S> {
    pub subject: S,
    pub queue: Arc<dyn LeaseQueue>,
}

impl<S: Subject> Fixture<S> {
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

    pub async fn enqueue(&self, tasks: impl IntoIterator<Item = Task>) {
        let tasks = tasks.into_iter().collect();
        self.queue.enqueue(&owner(), tasks).await.unwrap();
    }

    pub async fn lease(&self, worker: &str) -> Vec<Lease> {
        self.queue.lease(request(worker)).await.unwrap()
    }

    /// The one task that this worker gets.
    pub async fn lease_one(&self, worker: &str) -> Lease {
        let mut leases = self.lease(worker).await;
        assert_eq!(leases.len(), 1, "{leases:?}");
        leases.remove(0)
    }

    /// The task with this number, of several that could be had.
    pub async fn lease_one_of(&self, number: u8) -> Lease {
        let one = LeaseRequest {
            max: 1,
            ..request("w1")
        };
        let mut leases = self.queue.lease(one).await.unwrap();
        assert_eq!(numbers(&leases), [number]);
        leases.remove(0)
    }

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

pub(in crate::queue) fn ends(news: Vec<News>) -> Vec<(u8, RunId, Outcome)> {
    let ends = news.into_iter().filter_map(|news| match news {
        News::Done {
            key, run, outcome, ..
        } => Some((key.0[0], run, outcome)),
        News::Started { .. } | News::Joined { .. } | News::Log { .. } | News::Forgotten => None,
    });
    ends.collect()
}

/// Numbers of leased tasks.
pub(in crate::queue) fn numbers(leases: &[Lease]) -> Vec<u8> {
    leases.iter().map(|lease| lease.task.key.0[0]).collect()
}
