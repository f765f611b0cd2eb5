//! The in-process queue passes the suite.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use gofarm_proto::Digest;

use super::InProcessQueue;
use crate::conformance::fixture::{leave_nothing, owner, request, task};
use crate::conformance::{OPTIONS, Subject};
use crate::{BlobPresence, Clock, LeaseQueue, LeaseRequest, ManualClock, QueueOptions, Renewal};
use gofarm_engine::core::{Millis, Task};

#[derive(Default)]
struct Blobs(Mutex<HashSet<Digest>>);

#[async_trait]
impl BlobPresence for Blobs {
    async fn missing(&self, digests: &[Digest]) -> Result<Vec<Digest>, String> {
        let there = self.0.lock().unwrap();
        let missing = digests.iter().filter(|digest| !there.contains(*digest));
        Ok(missing.copied().collect())
    }
}

struct InProcess {
    queue: Arc<InProcessQueue>,
    clock: Arc<ManualClock>,
    blobs: Arc<Blobs>,
}

#[async_trait]
impl Subject for InProcess {
    async fn start(options: QueueOptions) -> Self {
        let (clock, blobs) = (Arc::new(ManualClock::default()), Arc::new(Blobs::default()));
        InProcess {
            queue: Arc::new(InProcessQueue::new(options, clock.clone(), blobs.clone())),
            clock,
            blobs,
        }
    }

    fn queue(&self) -> Arc<dyn LeaseQueue> {
        self.queue.clone()
    }

    async fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    async fn lose_data(&self) {
        self.queue.reset();
    }

    async fn upload(&self, digest: Digest) {
        self.blobs.0.lock().unwrap().insert(digest);
    }
}

crate::lease_queue_conformance!(InProcess);

/// Of tasks and shares; workers stay known for a while.
#[tokio::test]
async fn nothing_is_left_when_everything_has_ended() {
    let InProcess { queue, clock, .. } = InProcess::start(OPTIONS).await;
    let subject = InProcess {
        queue: queue.clone(),
        clock,
        blobs: Arc::default(),
    };
    leave_nothing(&subject).await;
    let state = queue.state();
    assert!(
        state
            .pools
            .values()
            .all(|pool| pool.shares.is_empty() && pool.stragglers.is_empty())
    );
    assert_eq!(state.seconds, 0);
    assert!(state.entries.is_empty() && state.deadlines.is_empty());
}

/// Whoever may submit can name as many pools as they like.
#[tokio::test]
async fn parts_of_pools_that_have_nothing_are_forgotten() {
    let InProcess { queue, clock, .. } = InProcess::start(OPTIONS).await;
    let pools = || queue.state().pools.len();
    for number in 0..20 {
        let task = Task {
            pool: format!("p{number}").into(),
            ..task(number)
        };
        queue.enqueue(&owner(), vec![task]).await.unwrap();
    }
    queue.lease(request("w")).await.unwrap();
    queue.reap(100).await.unwrap();
    assert_eq!(pools(), 21);
    clock.advance(OPTIONS.placement_grace);
    assert_eq!(queue.reap(100).await.unwrap().unplaceable, 20);
    queue.reap(100).await.unwrap();
    assert_eq!(pools(), 1, "one has a worker");
    clock.advance(OPTIONS.worker_ttl);
    queue.reap(100).await.unwrap();
    assert_eq!(pools(), 1, "it may come back");
    clock.advance(crate::PART_REMEMBERED);
    queue.reap(100).await.unwrap();
    assert_eq!(pools(), 0);
}

/// Read while a change is half done.
struct BrokenClock;

impl Clock for BrokenClock {
    fn now(&self) -> Millis {
        panic!("no time")
    }
}

#[tokio::test]
async fn what_a_panic_left_half_changed_is_not_used() {
    let blobs = Arc::new(Blobs::default());
    let queue = InProcessQueue::new(OPTIONS, Arc::new(BrokenClock), blobs);
    let queue = Arc::new(queue);
    assert!(queue.stats().await.is_ok());
    for _ in 0..2 {
        let queue = queue.clone();
        let asked = async move { queue.news(&"owner".into(), 1, Duration::ZERO).await };
        assert!(tokio::spawn(asked).await.unwrap_err().is_panic());
    }
    // Also by those who would not have panicked themselves.
    let asked = tokio::spawn(async move { queue.stats().await });
    let panic = asked.await.unwrap_err().into_panic();
    let why = panic.downcast_ref::<&str>().unwrap();
    assert!(why.contains("half changed by an earlier panic"), "{why}");
}

/// A queue, its clock, and a worker of two parts of a pool.
fn two_parts() -> (InProcessQueue, Arc<ManualClock>, LeaseRequest) {
    let clock = Arc::new(ManualClock::default());
    let queue = InProcessQueue::new(OPTIONS, clock.clone(), Arc::new(Blobs::default()));
    let asks = LeaseRequest {
        pools: ["default:a".into(), "default:b".into()].into(),
        ..request("w1")
    };
    (queue, clock, asks)
}

#[tokio::test]
async fn a_worker_of_several_parts_is_one() {
    let (queue, _, asks) = two_parts();
    queue.lease(asks).await.unwrap();
    assert_eq!(queue.stats().await.unwrap().workers, 1);
}

#[tokio::test]
async fn a_worker_that_renews_is_there_for_all_parts_that_it_serves() {
    let (queue, clock, asks) = two_parts();
    let of = |number: u8, part: &str| Task {
        pool: part.into(),
        ..task(number)
    };
    let tasks = vec![of(1, "default:b")];
    queue.enqueue(&owner(), tasks).await.unwrap();
    let lease = queue.lease(asks).await.unwrap().remove(0);
    let tasks = vec![of(2, "default:a")];
    queue.enqueue(&owner(), tasks).await.unwrap();
    let long = OPTIONS.worker_ttl + OPTIONS.placement_grace;
    let mut passed = Duration::ZERO;
    while passed < 2 * long {
        clock.advance(OPTIONS.lease_ttl / 2);
        passed += OPTIONS.lease_ttl / 2;
        let renewed = queue.renew(&[lease.id]).await.unwrap();
        assert!(matches!(renewed[..], [Renewal::Held { .. }]));
        assert_eq!(queue.reap(10).await.unwrap().unplaceable, 0, "{passed:?}");
    }
}
