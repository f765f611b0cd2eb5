//! Rule 13: what one owner does, or no longer does, is nothing to the others.

use std::time::Duration;

use super::fixture::{Fixture, ends, success, task};
use super::{OPTIONS, Subject};
use crate::{News, Owner, Reaped, Renewal};
use gofarm_engine::core::{Event, Outcome, RunId, Task};

fn other() -> Owner {
    "scheduler-2".into()
}

/// Lets the time of all owners pass but for the one that says again what it wants: the first task.
async fn outlive<S: Subject>(farm: &Fixture<S>, survivor: Option<&Owner>) {
    for _ in 0..3 {
        farm.subject
            .advance(OPTIONS.owner_ttl / 3 + Duration::from_millis(20))
            .await;
        if let Some(owner) = survivor {
            farm.queue.enqueue(owner, vec![task(1)]).await.unwrap();
        }
    }
}

/// And is never told that it started or ended before it is told that it joined.
pub async fn rule_13_who_joins_a_task_is_told_before_anything_else<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    let theirs = |number: u8, run: u64| Task {
        run: RunId(run),
        ..task(number)
    };
    farm.enqueue([task(1), task(2)]).await;
    let lease = farm.lease_one_of(2).await;
    let both = vec![theirs(1, 71), theirs(2, 72)];
    farm.queue.enqueue(&other(), both.clone()).await.unwrap();
    farm.queue.enqueue(&other(), both).await.unwrap();
    farm.queue.complete(&lease.id, success(None)).await.unwrap();
    let news = farm
        .queue
        .news(&other(), 100, Duration::ZERO)
        .await
        .unwrap();
    let of = |wanted: u64| {
        let of = news.iter().filter_map(|news| match news {
            News::Joined { run, .. } if run.0 == wanted => Some("joined"),
            News::Started { run, .. } if run.0 == wanted => Some("started"),
            News::Done { run, .. } if run.0 == wanted => Some("done"),
            _ => None,
        });
        of.collect::<Vec<_>>()
    };
    assert_eq!(of(71), ["joined"], "once, whatever is said again");
    assert_eq!(of(72), ["joined", "started", "started", "done"]);
    assert!(
        !farm
            .news()
            .await
            .iter()
            .any(|news| matches!(news, News::Joined { .. }))
    );
}

/// Waiting ones at once, leased ones when the worker has heard of it.
pub async fn rule_13_tasks_of_dead_owners_go_away<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    farm.enqueue((1..=4).map(task)).await;
    assert_eq!(farm.queue.reap(10).await.unwrap(), Reaped::default());
    outlive(&farm, None).await;
    // Someone is there to take them, so that they do not end for want of a worker.
    let lease = farm.lease_one_of(4).await.id;
    let first = farm.queue.reap(2).await.unwrap();
    let second = farm.queue.reap(10).await.unwrap();
    assert_eq!((first.orphans, second.orphans), (2, 2));
    let stats = farm.queue.stats().await.unwrap();
    assert_eq!((stats.queued, stats.leased), (0, 1));
    assert!(matches!(
        farm.queue.renew(&[lease]).await.unwrap()[..],
        [Renewal::Held {
            cancelled: true,
            ..
        }]
    ));
    let done = farm.queue.complete(&lease, Outcome::Cancelled).await;
    done.unwrap();
    assert_eq!(farm.queue.reap(10).await.unwrap().orphans, 0);
}

/// The task goes on for those who are there.
pub async fn rule_13_a_dead_sharer_changes_nothing_for_the_others<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    farm.enqueue([task(1)]).await;
    farm.queue.enqueue(&other(), vec![task(1)]).await.unwrap();
    outlive(&farm, Some(&other())).await;
    let lease = farm.lease_one("w1").await.id;
    assert_eq!(farm.queue.reap(10).await.unwrap().orphans, 0);
    assert!(matches!(
        farm.queue.renew(&[lease]).await.unwrap()[..],
        [Renewal::Held {
            cancelled: false,
            ..
        }]
    ));
    farm.queue.complete(&lease, success(None)).await.unwrap();
    let news = farm
        .queue
        .news(&other(), 100, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(ends(news), [(1, RunId(1), success(None))]);
}

/// It was only slow: it says again what it wants, and its build ends.
pub async fn rule_13_an_owner_that_comes_back_is_told<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    farm.enqueue([task(1)]).await;
    outlive(&farm, None).await;
    farm.lease("w1").await;
    farm.queue.reap(10).await.unwrap();
    let news = farm.news().await;
    assert_eq!(news[..], [News::Forgotten]);
    assert!(matches!(news[0].clone().event(), Some(Event::Republish)));
    assert_eq!(farm.news().await, [], "once");
    farm.expire().await;
    farm.queue.reap(10).await.unwrap();
    farm.enqueue([task(1)]).await;
    let lease = farm.lease_one("w2").await.id;
    farm.queue.complete(&lease, success(None)).await.unwrap();
    assert_eq!(farm.ends().await, [(1, RunId(1), success(None))]);
}
