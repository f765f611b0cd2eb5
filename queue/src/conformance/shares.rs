//! How the time of a pool is shared between users, and what a user gets between their builds.

use std::time::Duration;

use super::Subject;
use super::fixture::{Fixture, GIB, success, task};
use crate::{Lease, Owner};
use gofarm_engine::core::{BuildId, Share, Task};

fn of(user: &str, build: u128, number: u8) -> Task {
    Task {
        share: Share {
            user: user.into(),
            build: BuildId(build),
        },
        ..task(number)
    }
}

async fn lease<S: Subject>(farm: &Fixture<S>, max: usize) -> Vec<Lease> {
    farm.lease_some("w1", max).await
}

/// How many of the leases each of the builds 1 to N got.
fn counts<const N: usize>(leases: &[Lease]) -> [usize; N] {
    let of = |build| BuildId(build as u128 + 1);
    std::array::from_fn(|build| {
        let leases = leases.iter();
        leases.filter(|l| l.task.share.build == of(build)).count()
    })
}

/// However many tasks one of them has, and however urgent they are.
pub async fn shares_of_users_are_equal<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    farm.enqueue((100..200).map(|number| of("ann", 1, number)))
        .await;
    farm.enqueue((1..=10).map(|number| of("bob", 2, number)))
        .await;
    for _ in 0..5 {
        assert_eq!(counts(&lease(&farm, 4).await), [2, 2]);
    }
    // What is left goes to who is left.
    assert_eq!(counts(&lease(&farm, 4).await), [4, 0]);
}

/// A user gets no more by splitting their work.
pub async fn shares_of_a_users_builds_are_parts_of_the_users<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    farm.enqueue((100..120).map(|number| of("ann", 1, number)))
        .await;
    farm.enqueue((50..70).map(|number| of("ann", 2, number)))
        .await;
    farm.enqueue((1..=20).map(|number| of("bob", 3, number)))
        .await;
    assert_eq!(counts(&lease(&farm, 16).await), [4, 4, 8]);
    // With one build left, the user's half is that build's.
    farm.enqueue((200..=220).map(|number| of("cid", 4, number)))
        .await;
    assert_eq!(counts(&lease(&farm, 12).await), [2, 2, 4, 4]);
}

/// It shares from when it comes.
pub async fn shares_of_newcomers_begin_when_they_come<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    farm.enqueue((100..200).map(|number| of("ann", 1, number)))
        .await;
    lease(&farm, 20).await;
    farm.enqueue((1..=40).map(|number| of("bob", 2, number)))
        .await;
    assert_eq!(counts(&lease(&farm, 10).await), [5, 5]);
    // Nor does one earn anything while another has nothing ready.
    assert_eq!(counts(&lease(&farm, 60).await), [30, 30]);
    farm.enqueue((50..60).map(|number| of("bob", 2, number)))
        .await;
    assert_eq!(counts(&lease(&farm, 10).await), [5, 5]);
}

/// There may be many of them, and they may be first.
pub async fn shares_whose_tasks_fit_nowhere_block_nobody<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    farm.enqueue((100..=150).map(|number| Task {
        memory_estimate: Some(9 * GIB),
        ..of(&format!("user {number}"), number.into(), number)
    }))
    .await;
    farm.enqueue([of("ann", 1, 1), of("bob", 2, 2)]).await;
    assert_eq!(counts(&lease(&farm, 8).await), [1, 1]);
}

/// What counts is how long a lease is held, whatever was expected.
pub async fn shares_are_of_time_not_of_tasks<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    let brief = |task| Task {
        duration_estimate: Some(1),
        ..task
    };
    farm.enqueue((100..200).map(|number| brief(of("ann", 1, number))))
        .await;
    farm.enqueue((1..=60).map(|number| brief(of("bob", 2, number))))
        .await;
    let first = lease(&farm, 1).await.remove(0);
    farm.subject.advance(Duration::from_millis(100)).await;
    let done = farm.queue.complete(&first.id, success(None)).await;
    done.unwrap();
    assert_eq!(counts(&lease(&farm, 50).await), [0, 50]);
    // A lease that is expected to be long is paid for when it is given, and what was too much is given back.
    let farm = Fixture::<S>::start().await;
    let long = Task {
        duration_estimate: Some(1_000),
        ..of("ann", 1, 250)
    };
    farm.enqueue([long]).await;
    farm.enqueue((100..200).map(|number| brief(of("ann", 1, number))))
        .await;
    farm.enqueue((1..=60).map(|number| brief(of("bob", 2, number))))
        .await;
    let first = lease(&farm, 1).await.remove(0);
    assert_eq!(counts(&lease(&farm, 20).await), [0, 20]);
    let done = farm.queue.complete(&first.id, success(None)).await;
    done.unwrap();
    let leases = lease(&farm, 4).await;
    assert!(counts::<2>(&leases)[0] > 0, "{leases:?}");
}

/// It is in one place, and its turn is that of the one of them that is first.
pub async fn shares_a_task_of_several_builds_goes_with_the_first<S: Subject>() {
    let farm = Fixture::<S>::start().await;
    let other: Owner = "scheduler-2".into();
    let hopeless = Task {
        memory_estimate: Some(9 * GIB),
        ..of("bob", 2, 250)
    };
    farm.enqueue((100..120).map(|number| of("ann", 1, number)))
        .await;
    farm.enqueue([hopeless]).await;
    assert_eq!(counts(&lease(&farm, 5).await), [5, 0]);
    let shared = of("bob", 2, 100);
    let enqueued = farm.queue.enqueue(&other, vec![shared.clone()]).await;
    enqueued.unwrap();
    // Said again by whom it would be later with, it stays.
    farm.enqueue([of("ann", 1, 100)]).await;
    assert_eq!(farm.queue.stats().await.unwrap().queued, 16);
    let next = lease(&farm, 2).await;
    assert_eq!((next[0].task.key, counts(&next)), (shared.key, [1, 1]));
    assert_eq!(counts(&lease(&farm, 20).await), [13, 0]);
}
