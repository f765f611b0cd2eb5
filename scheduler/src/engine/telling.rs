//! Tells the queue what an engine has for it, through outages. What it will never take stops nothing else, and neither does what it has no
//! room for: that is told again with all else that is open, after a while.

use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use gofarm_engine::core::{News, Outcome, Owner, RunId, Task};
use gofarm_engine::{Message, ToQueue};
use gofarm_proto::ActionKey;
use gofarm_queue::{LeaseQueue, QueueError};
use tokio::time::sleep;

use crate::retry::Retry;

/// So many times in a row something fails while the queue answers otherwise; then it is not the queue that is away. With pauses of a
/// second, ten seconds.
const STRIKES: usize = 12;
/// After which more is told to a queue that has no room.
const FULL_PAUSE: Duration = Duration::from_secs(1);
/// Tasks that are tried each by itself, at a time.
const ALONE_AT_ONCE: usize = 16;

/// Tells all of it in the order in which it was said, as many of a kind as follow each other in one call. What fails because the queue is
/// away is tried until it succeeds. The message for the engine.
pub(super) async fn tell_queue(
    queue: &dyn LeaseQueue,
    owner: &Owner,
    said: Vec<ToQueue>,
) -> Message {
    let mut telling = Telling {
        queue,
        owner,
        failures: 0,
        refused: Vec::new(),
        full: false,
    };
    let mut said = said.into_iter().peekable();
    while said.peek().is_some() {
        let mut tasks = Vec::new();
        while let Some(ToQueue::Enqueue(task)) =
            said.next_if(|said| matches!(said, ToQueue::Enqueue(_)))
        {
            tasks.push(*task);
        }
        telling.enqueue(tasks).await;
        let mut cancels = Vec::new();
        while let Some(ToQueue::Cancel(key, run)) =
            said.next_if(|said| matches!(said, ToQueue::Cancel(..)))
        {
            cancels.push((key, run));
        }
        if !cancels.is_empty() {
            telling.insist(Say::Cancel(&cancels)).await;
        }
        let mut back_ups = Vec::new();
        while let Some(ToQueue::BackUp(key, run)) =
            said.next_if(|said| matches!(said, ToQueue::BackUp(..)))
        {
            back_ups.push((key, run));
        }
        if !back_ups.is_empty() {
            telling.insist(Say::BackUp(&back_ups)).await;
        }
    }
    if telling.full {
        sleep(FULL_PAUSE).await;
    }
    Message::QueueTold {
        at_once: telling.failures == 0,
        refused: telling.refused,
    }
}

/// One call of the queue.
#[derive(Clone, Copy)]
enum Say<'a> {
    Enqueue(&'a [Task]),
    Cancel(&'a [(ActionKey, RunId)]),
    BackUp(&'a [(ActionKey, RunId)]),
}

impl Say<'_> {
    fn what(&self) -> &'static str {
        match self {
            Say::Enqueue(_) => "enqueuing tasks",
            Say::Cancel(_) => "cancelling tasks",
            Say::BackUp(_) => "having stragglers run a second time",
        }
    }

    async fn to(&self, queue: &dyn LeaseQueue, owner: &Owner) -> Result<(), QueueError> {
        match self {
            Say::Enqueue(tasks) => queue.enqueue(owner, tasks.to_vec()).await,
            Say::Cancel(tasks) => queue.cancel(owner, tasks).await,
            Say::BackUp(tasks) => queue.back_up(owner, tasks).await,
        }
    }
}

struct Telling<'a> {
    queue: &'a dyn LeaseQueue,
    owner: &'a Owner,
    failures: u32,
    /// The ends of tasks that the queue does not take.
    refused: Vec<News>,
    /// It has no room for more tasks, only for what ends some.
    full: bool,
}

impl Telling<'_> {
    /// Enqueues tasks. If that is in vain for them together, then each by itself.
    async fn enqueue(&mut self, tasks: Vec<Task>) {
        let (queue, owner) = (self.queue, self.owner);
        if tasks.is_empty() || self.full {
            return;
        }
        let Some(error) = self.insist(Say::Enqueue(&tasks)).await else {
            return;
        };
        if self.full {
            return;
        }
        if let [task] = &*tasks {
            return self.refused.push(refusal(task, &error));
        }
        let alone = stream::iter(tasks).map(|task| async move {
            let alone = Say::Enqueue(std::slice::from_ref(&task));
            let (error, failures) = insist(queue, owner, alone).await;
            (task, error, failures)
        });
        let alone: Vec<_> = alone.buffered(ALONE_AT_ONCE).collect().await;
        for (task, error, failures) in alone {
            self.failures += failures;
            if let Some(error) = error
                && !self.is_full(&error)
            {
                self.refused.push(refusal(&task, &error));
            }
        }
    }

    async fn insist(&mut self, say: Say<'_>) -> Option<QueueError> {
        let (error, failures) = insist(self.queue, self.owner, say).await;
        self.failures += failures;
        error.inspect(|error| {
            self.is_full(error);
        })
    }

    /// Notes that there is no room, if this says so.
    fn is_full(&mut self, error: &QueueError) -> bool {
        let full = matches!(error, QueueError::Full { .. });
        self.full |= full;
        full
    }
}

/// Tells the queue something until it has taken it; the error if it does not. And how many tries have failed.
async fn insist(queue: &dyn LeaseQueue, owner: &Owner, say: Say<'_>) -> (Option<QueueError>, u32) {
    let mut retry = Retry::forever(say.what());
    let mut strikes = 0;
    while let Err(error) = say.to(queue, owner).await {
        strikes = match &error {
            QueueError::Refused { .. } => STRIKES,
            QueueError::Full { .. } => {
                tracing::warn!(%error, "{} failed; what is open is told again", say.what());
                return (Some(error), retry.failures + 1);
            }
            _ => {
                retry.again(&error).await;
                match queue.incarnation().await {
                    Ok(_) => strikes + 1,
                    Err(_) => 0,
                }
            }
        };
        if strikes >= STRIKES {
            tracing::warn!(%error, "{} is given up", say.what());
            return (Some(error), retry.failures);
        }
    }
    (None, retry.failures)
}

/// The end of a task that the queue does not take.
fn refusal(task: &Task, error: &QueueError) -> News {
    tracing::warn!(%error, action = %task.label, key = %task.key, "an action fails, since the lease queue does not take its task");
    News::Done {
        key: task.key,
        run: task.run,
        worker: None,
        lease: None,
        outcome: Outcome::Unplaceable {
            reason: error.to_string().into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use gofarm_queue::conformance::fixture::{owner, task};
    use gofarm_queue::{Lease, LeaseId, LeaseRequest, QueueStats, Reaped, Renewal, TaskOutput};

    use super::*;

    /// A queue that is away at first, then takes all tasks but one.
    #[derive(Default)]
    struct Picky {
        /// Calls that are not answered yet.
        away: AtomicUsize,
        /// What it says to the one: for good, or as if it were away.
        says_so: bool,
        /// It has no room for tasks.
        full: bool,
        cancelled: AtomicUsize,
        taken: std::sync::Mutex<Vec<ActionKey>>,
    }

    const BAD: u8 = 3;

    fn away() -> QueueError {
        QueueError::Unavailable {
            reason: "no answer".to_owned(),
        }
    }

    impl Picky {
        fn answer(&self) -> Result<(), QueueError> {
            let before = self
                .away
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                    left.checked_sub(1)
                });
            before.map_or(Ok(()), |_| Err(away()))
        }
    }

    #[async_trait]
    impl LeaseQueue for Picky {
        async fn enqueue(&self, _: &Owner, tasks: Vec<Task>) -> Result<(), QueueError> {
            self.answer()?;
            if self.full {
                return Err(QueueError::Full {
                    reason: "no memory".to_owned(),
                });
            }
            if tasks.iter().any(|other| other.key == task(BAD).key) {
                return Err(match self.says_so {
                    true => QueueError::Refused {
                        reason: "no name".to_owned(),
                    },
                    false => away(),
                });
            }
            let keys = tasks.iter().map(|task| task.key);
            self.taken.lock().unwrap().extend(keys);
            Ok(())
        }

        async fn cancel(&self, _: &Owner, _: &[(ActionKey, RunId)]) -> Result<(), QueueError> {
            self.cancelled.fetch_add(1, Ordering::Relaxed);
            self.answer()
        }

        async fn back_up(&self, _: &Owner, _: &[(ActionKey, RunId)]) -> Result<(), QueueError> {
            self.answer()
        }

        async fn news(&self, _: &Owner, _: usize, _: Duration) -> Result<Vec<News>, QueueError> {
            Err(away())
        }

        async fn incarnation(&self) -> Result<u64, QueueError> {
            self.answer().map(|()| 1)
        }

        async fn lease(&self, _: LeaseRequest) -> Result<Vec<Lease>, QueueError> {
            Err(away())
        }

        async fn renew(&self, _: &[LeaseId]) -> Result<Vec<Renewal>, QueueError> {
            Err(away())
        }

        async fn append_log(&self, _: &[TaskOutput]) -> Result<Vec<Renewal>, QueueError> {
            Err(away())
        }

        async fn complete(&self, _: &LeaseId, _: Outcome) -> Result<Arc<str>, QueueError> {
            Err(away())
        }

        async fn reap(&self, _: usize) -> Result<Reaped, QueueError> {
            Err(away())
        }

        async fn stats(&self) -> Result<QueueStats, QueueError> {
            Err(away())
        }
    }

    /// Tells the queue five tasks and a cancellation: which it takes, and which are refused with which words.
    async fn told(queue: &Picky) -> (Vec<ActionKey>, Vec<(ActionKey, String)>) {
        let tasks = (1..6).map(|number| ToQueue::Enqueue(Box::new(task(number))));
        let mut said: Vec<ToQueue> = tasks.collect();
        said.push(ToQueue::Cancel(task(9).key, task(9).run));
        let Message::QueueTold { refused, .. } = tell_queue(queue, &owner(), said).await else {
            panic!("another message");
        };
        let refused = refused.into_iter().map(|news| match news {
            News::Done {
                key,
                outcome: Outcome::Unplaceable { reason },
                ..
            } => (key, reason.to_string()),
            other => panic!("{other:?}"),
        });
        (queue.taken.lock().unwrap().clone(), refused.collect())
    }

    fn all_but_the_bad_one() -> Vec<ActionKey> {
        [1, 2, 4, 5].map(|number| task(number).key).to_vec()
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_is_refused_stops_no_other() {
        let queue = Picky {
            says_so: true,
            away: 20.into(),
            ..Picky::default()
        };
        let (taken, refused) = told(&queue).await;
        assert_eq!(taken, all_but_the_bad_one());
        let reason = "refused by the lease queue: no name".to_owned();
        assert_eq!(refused, [(task(BAD).key, reason)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_fails_while_the_queue_answers_otherwise_stops_no_other_for_ever() {
        let (taken, refused) = told(&Picky::default()).await;
        assert_eq!(taken, all_but_the_bad_one());
        assert_eq!(refused.len(), 1);
        assert_eq!(refused[0].0, task(BAD).key);
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_that_is_away_for_long_refuses_nothing() {
        let queue = Picky {
            says_so: true,
            away: 10_000.into(),
            ..Picky::default()
        };
        assert_eq!(told(&queue).await.1.len(), 1, "the one that it says so of");
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_without_room_hears_what_ends_tasks_and_the_rest_is_told_again() {
        let queue = Picky {
            full: true,
            ..Picky::default()
        };
        let said = vec![
            ToQueue::Enqueue(Box::new(task(1))),
            ToQueue::Cancel(task(9).key, task(9).run),
            ToQueue::Enqueue(Box::new(task(2))),
        ];
        let message = tell_queue(&queue, &owner(), said).await;
        let Message::QueueTold { at_once, refused } = message else {
            panic!("{message:?}");
        };
        assert!(!at_once && refused.is_empty(), "{refused:?}");
        assert_eq!(queue.cancelled.into_inner(), 1);
    }
}
