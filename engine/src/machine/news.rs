//! What the queue says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gofarm_proto::{ActionKey, Digest};

use super::Engine;
use super::command::{Command, Recording, Unplaced};
use super::message::{Away, QueueSeen};
use crate::core::{ActionResult, Event, News, Outcome, RunId, Straggler};
use crate::maker::provenance;

/// Before the next question after one that failed.
const PAUSE: Duration = Duration::from_millis(200);
/// How often the queue is looked at when no lease runs out sooner.
const LOOK: Duration = Duration::from_secs(1);

impl Engine {
    pub(super) fn listen_to_queue(&mut self, pause: Duration) {
        self.commands.push(Command::ListenToQueue { pause });
    }

    pub(super) fn look_at_queue(&mut self, pause: Duration) {
        self.commands.push(Command::LookAtQueue { pause });
    }

    pub(super) fn take_news(&mut self, news: Result<Vec<News>, Away>) {
        let Ok(news) = news else {
            self.queue_failed = true;
            return self.listen_to_queue(PAUSE);
        };
        self.listen_to_queue(Duration::ZERO);
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

    /// Has words found for why no worker could take a task, with which its end is then told.
    fn explain(&mut self, key: ActionKey, run: RunId, worker: Option<Arc<str>>, reason: Arc<str>) {
        let part = self.outbox.task(&key, run).map(|task| task.pool.clone());
        let builds = self.core.waiters(&key, run);
        let builds = builds.filter_map(|(build, _)| self.builds.get(&build));
        let c_toolchains: BTreeMap<String, String> =
            builds.flat_map(|open| open.c_toolchains.clone()).collect();
        self.commands.push(Command::Explain(Box::new(Unplaced {
            key,
            run,
            worker,
            reason,
            part,
            c_toolchains,
        })));
    }

    pub(super) fn one(&mut self, mut news: News) {
        self.note_maker(&mut news);
        self.expect_record(&news);
        self.log_if_in_vain(&news);
        match &news {
            News::Log {
                key,
                run,
                offset,
                data,
            } => {
                for (build, node) in self.core.waiters(key, *run) {
                    if let Some(open) = self.builds.get_mut(&build) {
                        open.print(self.now.wall_ms, node.0, *run, *offset, data);
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
                let current = self.outbox.task(key, *run).is_some();
                if current {
                    self.stragglers.ended(key);
                }
                if let Outcome::BlobsMissing(digests) = outcome
                    && self.want(*key, *run, worker.clone(), digests)
                {
                    return;
                }
                if current {
                    self.wants.forget(key, *run);
                    let result = match outcome {
                        Outcome::Succeeded(result) => Some(&**result),
                        _ => None,
                    };
                    self.left_the_queue(key, *run, worker.as_ref(), result);
                }
            }
            News::Started { key, run, worker } => {
                // An earlier run says nothing about how long this one has been running.
                let task = self.outbox.task(key, *run);
                if self.options.fleet.is_some() {
                    self.whereabouts.seen(worker, self.now.at);
                    if let Some(task) = task {
                        self.stragglers.started(task, worker, self.now.at);
                    }
                }
            }
            News::Forgotten => {}
        }
        if let Some(event) = news.event() {
            self.step(event);
        }
    }

    /// Notes in a result who made it, by the books of the queue.
    fn note_maker(&self, news: &mut News) {
        let News::Done {
            worker,
            lease,
            outcome: Outcome::Succeeded(result),
            ..
        } = news
        else {
            return;
        };
        let wall_ms = self.now.wall_ms;
        let made = match (&self.options.maker, worker) {
            (Some(maker), _) => provenance(maker, None, "", wall_ms),
            (None, Some(worker)) => provenance(worker, *lease, &self.options.owner, wall_ms),
            (None, None) => return,
        };
        Arc::make_mut(result).made = Some(Arc::new(made));
    }

    /// A success that the queue has accepted is recorded by the replica that a worker told it to. That one may have died since, or
    /// have heard no answer of the queue; then this engine records it.
    fn expect_record(&mut self, news: &News) {
        if self.options.maker.is_none()
            && let News::Done {
                key,
                outcome: Outcome::Succeeded(result),
                ..
            } = news
            && result.exit_code == 0
            && let Some(made) = &result.made
        {
            let recording = Recording {
                key: *key,
                result: result.clone(),
                made: (**made).clone(),
            };
            self.outbox.expect(recording, self.now.at);
        }
    }

    /// Says so when a run of a task has come to nothing.
    fn log_if_in_vain(&self, news: &News) {
        let News::Done {
            key,
            run,
            worker,
            outcome,
            ..
        } = news
        else {
            return;
        };
        let reason = match outcome {
            Outcome::Crashed { reason } => reason,
            Outcome::LostLease => "lease lost",
            Outcome::OutOfMemory { .. } => "out of memory",
            _ => return,
        };
        let waiting = self.core.waiters(key, *run).next();
        let task = waiting.and_then(|(build, node)| self.core.task(build, node));
        if let Some((task, _)) = task {
            let (build, attempt) = (task.share.build, task.attempt);
            let worker = worker.as_deref().unwrap_or_default();
            tracing::warn!(
                %build, action = %task.label, %key, worker, attempt, reason,
                "run of an action came to nothing"
            );
        }
    }

    /// Results were taken back by an operator: builds under way that have used one have its action run again, as if its
    /// blobs were lost.
    pub(super) fn taken_back(&mut self, results: Vec<(ActionKey, Vec<Digest>)>) {
        for (key, outputs) in results {
            self.outbox.taken_back(&key);
            let digests = outputs.into();
            self.step(Event::OutputsMissing { key, digests });
        }
    }

    /// A task is not in the queue any more. Takes note of what its worker has now, and of what it took.
    fn left_the_queue(
        &mut self,
        key: &ActionKey,
        run: RunId,
        worker: Option<&Arc<str>>,
        result: Option<&ActionResult>,
    ) {
        let Some(task) = self.outbox.left(key, run) else {
            return;
        };
        if self.options.fleet.is_some()
            && let Some(worker) = worker
        {
            match result {
                Some(result) => {
                    let read = task.produced.iter().copied();
                    let made = result.outputs.iter().map(|output| output.digest);
                    self.whereabouts.has(worker, read.chain(made), self.now.at);
                }
                None => self.whereabouts.seen(worker, self.now.at),
            }
        }
        if self.has_registry()
            && let Some(result) = result
        {
            self.outbox.measure(task, result);
        }
    }

    /// Asks for a second worker for what takes far longer than it did before.
    pub(super) fn back_up_stragglers(&mut self) {
        for straggler in self.stragglers.overdue(self.now.at) {
            let Straggler {
                key,
                run,
                worker,
                running_ms,
            } = straggler;
            let task = self.outbox.task(&key, run);
            let action = task.map(|task| task.label.clone()).unwrap_or_default();
            let recorded_ms = task.and_then(|task| task.duration_estimate);
            for (build, _) in self.core.waiters(&key, run) {
                tracing::info!(%build, %action, %worker, running_ms, recorded_ms, "action takes far longer than it did before; another worker that has nothing else to do may run it as well");
            }
            self.outbox.back_up(key, run);
        }
    }

    pub(super) fn queue_seen(&mut self, seen: Result<QueueSeen, Away>) {
        // What a dead worker had goes on at once. Deadlines are whole milliseconds.
        let next = seen.ok().and_then(|seen| seen.next);
        let next = next.map_or(LOOK, |next| next + Duration::from_millis(1));
        self.look_at_queue(next.min(LOOK));
        let Ok(QueueSeen { incarnation, .. }) = seen else {
            self.queue_failed = true;
            return;
        };
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
}
