//! Rules 9, 11, 13 and 15: what owners ask for and what they hear.

use std::time::Duration;

use super::Subject;
use super::fixture::{Fixture, ends, owner, request, success, task};
use crate::{LeaseRequest, News, Owner, Renewal};
use gofarm_engine::core::{
    BuildEvent, BuildId, BuildOptions, BuildResult, BuildSpec, Core, CoreOptions, Edge, Effect,
    Event, Millis, NodeId, NodeSpec, Outcome, RunId, Task,
};

/// A scheduler core over the queue; nothing is in the action cache.
struct Build {
    core: Core,
    events: Vec<Event>,
    result: Option<BuildResult>,
}

impl Build {
    /// A chain of three actions.
    fn submit() -> Build {
        let node = |number: u32| NodeSpec {
            definition: gofarm_proto::Digest::of(&number.to_le_bytes()),
            label: format!("compile {number}").into(),
            package: "p".into(),
            kind: gofarm_proto::v1::Kind::Compile,
            inputs: match number {
                0 => Vec::new(),
                _ => vec![Edge {
                    node: NodeId(number - 1),
                    output: "export".into(),
                }],
            },
            requested: false,
            source_bytes: 1,
            estimate: None,
            platform: None,
        };
        let spec = BuildSpec::new(BuildId(1), BuildOptions::default(), (0..3).map(node));
        Build {
            core: Core::new(CoreOptions::default()),
            events: vec![Event::Submit(Box::new(spec.unwrap()))],
            result: None,
        }
    }

    /// Takes in what came, and carries out what follows from it.
    async fn settle<S: Subject>(&mut self, farm: &Fixture<S>) {
        while let Some(event) = self.events.pop() {
            for effect in self.core.step(event, Millis(0)) {
                match effect {
                    Effect::LookUp { key, verify } => self.events.push(Event::CacheAnswer {
                        key,
                        verify,
                        result: None,
                    }),
                    Effect::Enqueue(task) => farm.enqueue([task]).await,
                    Effect::Notify {
                        event: BuildEvent::Finished(summary),
                        ..
                    } => self.result = Some(summary.result),
                    _ => {}
                }
            }
        }
    }
}

/// The data is lost with a task waiting and again with one under lease: the owner says again what is open, and the
/// build ends as it should.
pub async fn rule_09_a_build_survives_lost_data<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    let mut build = Build::submit();
    let mut incarnation = farm.queue.incarnation().await.unwrap();
    let output = gofarm_proto::Digest::of(b"export");
    farm.subject.upload(output).await;
    let mut leases_lost = 0;
    for round in 0..20 {
        build.settle(&farm).await;
        if build.result.is_some() {
            break;
        }
        if round == 0 {
            farm.subject.lose_data().await;
        }
        for lease in farm.lease("w1").await {
            if round == 2 {
                farm.subject.lose_data().await;
            }
            let completed = farm.queue.complete(&lease.id, success(Some(output))).await;
            leases_lost += usize::from(completed.is_err());
        }
        let news = farm.news().await;
        build
            .events
            .extend(news.into_iter().rev().filter_map(News::event));
        let now = farm.queue.incarnation().await.unwrap();
        if now != incarnation {
            incarnation = now;
            build.events.push(Event::Republish);
        }
    }
    assert_eq!(build.result, Some(BuildResult::Succeeded));
    assert_eq!(leases_lost, 1);
}

/// The queue counts nothing itself, but says what the counting needs.
pub async fn rule_11_outcomes_that_count_are_told_from_those_that_do_not<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    let crashed = Outcome::Crashed {
        reason: "launcher died".into(),
    };
    for outcome in [
        crashed,
        Outcome::Released,
        Outcome::OutOfMemory {
            alone: true,
            reason: "link was killed".into(),
        },
        Outcome::BlobsMissing([gofarm_proto::Digest::of(b"x")].into()),
        Outcome::LostLease,
    ] {
        farm.enqueue([task(1)]).await;
        let lease = farm.lease_one("w1").await.id;
        match outcome {
            Outcome::LostLease => {
                farm.expire().await;
                farm.queue.reap(10).await.unwrap();
            }
            Outcome::Released => farm.queue.release(&lease).await.unwrap(),
            _ => {
                let ended = farm.queue.complete(&lease, outcome.clone()).await;
                assert_eq!(*ended.unwrap(), *"w1");
            }
        }
        let news = farm.news().await;
        let News::Done { worker, .. } = &news[1] else {
            panic!("{news:?}");
        };
        assert_eq!(worker.as_deref(), Some("w1"), "for the history");
        assert_eq!(ends(news), [(1, RunId(1), outcome)]);
    }
}

/// An owner that gave up waiting for an answer says more; then the first message arrives.
pub async fn rule_12_what_comes_late_does_not_undo_what_was_said_after_it<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    let mut later = task(1);
    later.run = RunId(300);
    farm.enqueue([later]).await;
    farm.enqueue([task(1)]).await;
    let lease = farm.lease_one("w1").await.id;
    farm.queue.complete(&lease, success(None)).await.unwrap();
    assert_eq!(farm.ends().await, [(1, RunId(300), success(None))]);
}

/// Two schedulers want one key: one task, and each hears of it by its own run.
pub async fn rule_13_owners_share_a_task_and_hear_of_their_own_run<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    let other: Owner = "scheduler-2".into();
    farm.enqueue([task(1)]).await;
    let mut theirs = task(1);
    theirs.run = RunId(77);
    let enqueued = farm.queue.enqueue(&other, vec![theirs]).await;
    enqueued.unwrap();
    // What one owner does not own it cannot take away.
    let mut third = task(1);
    third.run = RunId(99);
    let stranger: Owner = "scheduler-3".into();
    let cancel = [(third.key, third.run)];
    farm.queue.cancel(&stranger, &cancel).await.unwrap();
    let lease = farm.lease_one("w1").await.id;
    farm.queue.complete(&lease, success(None)).await.unwrap();
    assert_eq!(farm.ends().await, [(1, RunId(1), success(None))]);
    let news = farm.queue.news(&other, 10, Duration::ZERO).await.unwrap();
    assert!(matches!(news[0], News::Joined { run: RunId(77), .. }));
    assert!(matches!(news[1], News::Started { run: RunId(77), .. }));
    assert_eq!(ends(news), [(1, RunId(77), success(None))]);
    let news = farm.queue.news(&stranger, 10, Duration::ZERO).await;
    assert_eq!(
        ends(news.unwrap()),
        [(1, RunId(99), Outcome::Cancelled)],
        "an answer all the same"
    );
}

/// With the next renewal; and the owner hears when it is over.
pub async fn rule_15_cancel_reaches_the_worker<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    farm.enqueue([task(1)]).await;
    let lease = farm.lease_one("w1").await.id;
    let cancel = [(task(1).key, RunId(1))];
    farm.queue.cancel(&owner(), &cancel).await.unwrap();
    farm.queue.cancel(&owner(), &cancel).await.unwrap();
    assert_eq!(farm.ends().await, [], "it may still run");
    let renewals = farm.queue.renew(&[lease]).await.unwrap();
    assert!(matches!(
        renewals[..],
        [Renewal::Held {
            cancelled: true,
            ..
        }]
    ));
    let completed = farm.queue.complete(&lease, Outcome::Cancelled).await;
    completed.unwrap();
    assert_eq!(farm.ends().await, [(1, RunId(1), Outcome::Cancelled)]);
}

/// Until the last one leaves.
pub async fn rule_15_a_sharer_leaving_changes_nothing_for_the_others<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    let other: Owner = "scheduler-2".into();
    farm.enqueue([task(1)]).await;
    farm.queue.enqueue(&other, vec![task(1)]).await.unwrap();
    let lease = farm.lease_one("w1").await.id;
    let cancel = [(task(1).key, RunId(1))];
    farm.queue.cancel(&owner(), &cancel).await.unwrap();
    assert_eq!(farm.ends().await, [(1, RunId(1), Outcome::Cancelled)]);
    let cancelled = |renewals: Vec<Renewal>| match renewals[..] {
        [Renewal::Held { cancelled, .. }] => cancelled,
        _ => panic!("{renewals:?}"),
    };
    assert!(!cancelled(farm.queue.renew(&[lease]).await.unwrap()));
    farm.queue.cancel(&other, &cancel).await.unwrap();
    assert!(cancelled(farm.queue.renew(&[lease]).await.unwrap()));
    let completed = farm.queue.complete(&lease, Outcome::Cancelled).await;
    completed.unwrap();
    assert_eq!(farm.ends().await, [], "who left has had its answer");
}

/// And never leased afterwards. A key that is not known is answered just the same.
pub async fn rule_15_a_queued_task_is_cancelled_at_once<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    farm.enqueue([task(1), task(2)]).await;
    let cancel = [(task(1).key, RunId(1)), (task(3).key, RunId(3))];
    farm.queue.cancel(&owner(), &cancel).await.unwrap();
    let cancelled = |n: u8| (n, RunId(n.into()), Outcome::Cancelled);
    assert_eq!(farm.ends().await, [cancelled(1), cancelled(3)]);
    let lease = farm.lease_one("w1").await;
    assert_eq!(lease.task, task(2));
}

/// The same action in two pools is two tasks: each has its workers, its lease and its end, and is cancelled by its run.
pub async fn rule_13_pools_share_no_task<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    let of_pool = |run: u64, pool: &str| Task {
        run: RunId(run),
        pool: pool.into(),
        ..task(1)
    };
    let ask = |pool: &str| LeaseRequest {
        pools: [pool.into()].into(),
        ..request("w1")
    };
    let (ours, theirs) = ("default", "other");
    farm.enqueue([of_pool(1, ours), of_pool(2, theirs)]).await;
    assert_eq!(farm.queue.stats().await.unwrap().queued, 2);
    let first = farm.queue.lease(ask(ours)).await.unwrap().remove(0);
    let second = farm.queue.lease(ask(theirs)).await.unwrap().remove(0);
    assert_eq!((first.task.run, second.task.run), (RunId(1), RunId(2)));
    let ended = farm.queue.complete(&second.id, Outcome::Released).await;
    ended.unwrap();
    assert_eq!(farm.ends().await, [(1, RunId(2), Outcome::Released)]);
    let renewed = farm.queue.renew(&[first.id]).await.unwrap();
    let held = matches!(
        renewed[..],
        [Renewal::Held {
            cancelled: false,
            ..
        }]
    );
    assert!(held, "{renewed:?}");
    // One that waits is cancelled, and the other is still under lease.
    farm.enqueue([of_pool(3, theirs)]).await;
    let cancelled = [(first.task.key, RunId(3))];
    farm.queue.cancel(&owner(), &cancelled).await.unwrap();
    assert_eq!(farm.ends().await, [(1, RunId(3), Outcome::Cancelled)]);
    let ended = farm.queue.complete(&first.id, success(None)).await;
    ended.unwrap();
    assert_eq!(farm.ends().await, [(1, RunId(1), success(None))]);
    assert_eq!(farm.queue.stats().await.unwrap().leased, 0);
}
