//! What the queue says.

use std::sync::Arc;
use std::time::Duration;

use gofarm_proto::{ActionKey, Digest};

use super::actor::Actor;
use super::message::Message;
use super::opening::now_ms;
use super::unplaceable::explained;
use crate::custody::provenance;
use gofarm_engine::core::{ActionResult, Event, Outcome, RunId, Straggler};
use gofarm_queue::{News, QueueError};

/// News taken at once.
const BATCH: usize = 512;
/// How long one question waits.
const WAIT: Duration = Duration::from_secs(10);
/// Before the next question after one that failed.
const PAUSE: Duration = Duration::from_millis(200);
/// How often the queue is looked at when no lease runs out sooner.
const LOOK: Duration = Duration::from_secs(1);
/// Leases and hopeless tasks ended in one round of reaping.
const REAP: usize = 256;

impl Actor {
    pub fn wait_for_news(&mut self, pause: Duration) {
        let (queue, owner) = (self.queue.clone(), self.owner.clone());
        self.work.spawn(async move {
            tokio::time::sleep(pause).await;
            Message::News(queue.news(&owner, BATCH, WAIT).await)
        });
    }

    pub fn take_news(&mut self, news: Result<Vec<News>, QueueError>) {
        match news {
            Ok(news) => {
                self.wait_for_news(Duration::ZERO);
                for news in news {
                    match news {
                        News::Done {
                            key,
                            run,
                            worker,
                            outcome: Outcome::Unplaceable { reason },
                            ..
                        } => self.explain(key, run, worker, reason),
                        news => self.one(news),
                    }
                }
            }
            Err(error) => {
                tracing::debug!(%error, "no news from the lease queue");
                self.queue_failed = true;
                self.wait_for_news(PAUSE);
            }
        }
    }

    /// Finds words for why no worker could take a task, with which its end is then told. Where the workers cannot be asked
    /// about, the queue's own.
    fn explain(&mut self, key: ActionKey, run: RunId, worker: Option<Arc<str>>, reason: Arc<str>) {
        let part = self.outbox.task(&key).map(|task| task.pool.clone());
        let builds = self.core.waiters(&key, run);
        let builds = builds.filter_map(|(build, _)| self.builds.get(&build));
        let names = builds.flat_map(|open| open.c_toolchains.clone()).collect();
        let registry = self.registry.clone();
        self.work.spawn(async move {
            let reason = match (part, registry.workers().await) {
                (Some(part), Ok(workers)) => explained(&reason, &part, &names, &workers).into(),
                _ => reason,
            };
            Message::Explained(News::Done {
                key,
                run,
                worker,
                // Nobody has held it.
                lease: None,
                outcome: Outcome::Unplaceable { reason },
            })
        });
    }

    pub fn one(&mut self, mut news: News) {
        note_maker(&mut news, &self.owner);
        self.log_if_in_vain(&news);
        match &news {
            News::Log {
                key,
                run,
                offset,
                data,
            } => {
                let now_ms = now_ms();
                for (build, node) in self.core.waiters(key, *run) {
                    if let Some(open) = self.builds.get_mut(&build) {
                        open.log.print(now_ms, node.0, *run, *offset, data);
                    }
                }
                return;
            }
            News::Joined { key, run } => {
                // Put there for the same build by its earlier owner.
                let inherited = self.core.waiters(key, *run).any(|(build, node)| {
                    let open = self.builds.get(&build);
                    open.is_some_and(|open| open.in_queue.contains(&node.0))
                });
                if inherited {
                    return;
                }
            }
            News::Done {
                key,
                run,
                worker,
                outcome,
                ..
            } => {
                // What is told of an earlier run once more says nothing of this one.
                let task = self.outbox.task(key);
                let current = task.is_some_and(|task| task.run == *run);
                if current {
                    self.stragglers.ended(key);
                }
                if let Outcome::BlobsMissing(digests) = outcome
                    && self.want(*key, *run, worker.clone(), digests)
                {
                    return;
                }
                if !matches!(outcome, Outcome::BlobsMissing(_)) {
                    self.wants.forget(key);
                }
                if current {
                    let result = match outcome {
                        Outcome::Succeeded(result) => Some(&**result),
                        _ => None,
                    };
                    self.placed(key, worker.as_ref(), result);
                    self.outbox.task_done(key, result);
                }
            }
            News::Started { key, run, worker } => {
                let now = self.now();
                self.whereabouts.seen(worker, now);
                // An earlier run says nothing about how long this one has been running.
                let task = self.outbox.task(key).filter(|task| task.run == *run);
                if let Some(task) = task {
                    self.stragglers.started(task, worker, now);
                }
            }
            News::Forgotten => {}
        }
        if let Some(event) = news.event() {
            self.step(event);
        }
    }

    /// Results were taken back by an operator: builds under way that have used one have its action run again, as if its
    /// blobs were lost.
    pub fn taken_back(&mut self, results: Vec<(ActionKey, Vec<Digest>)>) {
        for (key, outputs) in results {
            self.outbox.taken_back(&key);
            let digests = outputs.into();
            self.step(Event::OutputsMissing { key, digests });
        }
    }

    /// Takes note of what a worker has now.
    fn placed(
        &mut self,
        key: &ActionKey,
        worker: Option<&Arc<str>>,
        result: Option<&ActionResult>,
    ) {
        let Some(worker) = worker else {
            return;
        };
        let now = self.now();
        match (self.outbox.task(key), result) {
            (Some(task), Some(result)) => {
                let read = task.produced.iter().copied();
                let made = result.outputs.iter().map(|output| output.digest);
                self.whereabouts.has(worker, read.chain(made), now);
            }
            _ => self.whereabouts.seen(worker, now),
        }
    }

    /// Asks for a second worker for what takes far longer than it did before.
    pub fn back_up_stragglers(&mut self) {
        for straggler in self.stragglers.overdue(self.now()) {
            let Straggler {
                key,
                run,
                worker,
                running_ms,
            } = straggler;
            let task = self.outbox.task(&key);
            let action = task.map(|task| task.label.clone()).unwrap_or_default();
            let recorded_ms = task.and_then(|task| task.duration_estimate);
            for (build, _) in self.core.waiters(&key, run) {
                tracing::info!(%build, %action, %worker, running_ms, recorded_ms, "action takes far longer than it did before; another worker that has nothing else to do may run it as well");
            }
            self.outbox.back_up(key, run);
        }
    }

    /// Sees whether the queue still has its data, and ends what has run out.
    pub fn look_at_queue(&mut self, pause: Duration) {
        let queue = self.queue.clone();
        self.work.spawn(async move {
            tokio::time::sleep(pause).await;
            let seen = async {
                let reaped = queue.reap(REAP).await?;
                Ok((queue.incarnation().await?, reaped.next))
            };
            Message::QueueSeen(seen.await)
        });
    }

    pub fn queue_seen(&mut self, seen: Result<(u64, Option<Duration>), QueueError>) {
        // What a dead worker had goes on at once. Deadlines are whole milliseconds.
        let next = seen.as_ref().ok().and_then(|(_, next)| *next);
        let next = next.map_or(LOOK, |next| next + Duration::from_millis(1));
        self.look_at_queue(next.min(LOOK));
        match seen {
            Ok((incarnation, _)) => {
                let before = self.incarnation.replace(incarnation);
                let changed = before.is_some_and(|before| before != incarnation);
                if changed {
                    tracing::warn!(
                        incarnation,
                        "lease queue has lost its data; open tasks are published again"
                    );
                }
                if changed || std::mem::take(&mut self.queue_failed) {
                    self.step(Event::Republish);
                }
            }
            Err(error) => {
                tracing::debug!(%error, "lease queue does not answer");
                self.queue_failed = true;
            }
        }
    }
}

/// Notes in a result who made it, by the books of the queue.
fn note_maker(news: &mut News, replica: &str) {
    if let News::Done {
        worker: Some(worker),
        lease,
        outcome: Outcome::Succeeded(result),
        ..
    } = news
    {
        let made = provenance(worker, *lease, replica);
        Arc::make_mut(result).made = Some(Arc::new(made));
    }
}
