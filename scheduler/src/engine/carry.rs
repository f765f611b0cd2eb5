//! What goes out: to the queue, the action cache, the registry and the history. Each has one lane or a few: what is said
//! while a lane is busy waits, and goes out together.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use gofarm_proto::{ActionKey, v1};
use tokio::time::sleep;

use super::action_cache::{look_up, record};
use super::actor::Actor;
use super::message::{Answer, Flushed, Message, Wrote};
use super::persist::Retry;
use crate::registry::{Appended, Measurement};
use gofarm_engine::core::{ActionResult, Effect, Estimate, Event, RunId, Task};

/// Said to the queue at once.
const QUEUE_BATCH: usize = 2000;
/// Questions to the action cache, and results for it, in one batch; of a batch so many at a time; batches at a time.
const STORE_BATCH: usize = 256;
const STORE_AT_ONCE: usize = 16;
const STORE_LANES: usize = 4;
/// Durations that cannot be recorded for so long are not.
const HISTORY_PATIENCE: Duration = Duration::from_secs(60);
/// Builds whose events are written at a time.
const FLUSH_AT_ONCE: usize = 32;
/// Before the next try of writing events.
const FLUSH_PAUSE: Duration = Duration::from_millis(250);
/// Executions that are kept to be recorded while the registry is away.
const MEASUREMENTS_KEPT: usize = 10_000;

#[derive(Default)]
pub(super) struct Outbox {
    queue: Vec<ToQueue>,
    telling_queue: bool,
    lookups: Vec<(ActionKey, bool)>,
    lookups_under_way: usize,
    records: Vec<(ActionKey, Arc<ActionResult>, v1::Provenance)>,
    records_under_way: usize,
    /// Results on their way into the action cache: whoever asks meanwhile is answered with them.
    recording: HashMap<ActionKey, Arc<ActionResult>>,
    flushing: bool,
    /// Tasks that are in the queue, as they were last put there.
    tasks: HashMap<ActionKey, Task>,
    measurements: HashMap<Arc<str>, Vec<Measurement>>,
    measuring: bool,
}

enum ToQueue {
    Enqueue(Box<Task>),
    Cancel(ActionKey, RunId),
    BackUp(ActionKey, RunId),
}

impl Outbox {
    pub fn put(&mut self, effect: Effect) {
        match effect {
            Effect::LookUp { key, verify } => self.lookups.push((key, verify)),
            Effect::Enqueue(task) => {
                self.tasks.insert(task.key, task.clone());
                self.queue.push(ToQueue::Enqueue(Box::new(task)));
            }
            Effect::CancelTask { key, run } => self.cancel(key, run),
            // With who made it: see `record`.
            Effect::Record { .. } | Effect::Notify { .. } => {}
        }
    }

    /// A result that is to be in the action cache.
    pub fn record(&mut self, key: ActionKey, result: Arc<ActionResult>, made: v1::Provenance) {
        self.recording.insert(key, result.clone());
        self.records.push((key, result, made));
    }

    /// Nobody is answered any more with a result that was taken back on its way into the action cache.
    pub fn taken_back(&mut self, key: &ActionKey) {
        self.recording.remove(key);
    }

    pub fn cancel(&mut self, key: ActionKey, run: RunId) {
        self.queue.push(ToQueue::Cancel(key, run));
    }

    /// Lets a second worker run a task, if one has nothing else to do.
    pub fn back_up(&mut self, key: ActionKey, run: RunId) {
        self.queue.push(ToQueue::BackUp(key, run));
    }

    /// A task that is in the queue.
    pub fn task(&self, key: &ActionKey) -> Option<&Task> {
        self.tasks.get(key)
    }

    /// Takes out what was last put in for the queue: cancellations that are to wait.
    pub fn hold_back(&mut self, since: usize) -> Vec<(ActionKey, RunId)> {
        let held = self.queue.drain(since.min(self.queue.len())..);
        let cancels = held.filter_map(|said| match said {
            ToQueue::Cancel(key, run) => Some((key, run)),
            ToQueue::Enqueue(_) | ToQueue::BackUp(..) => None,
        });
        cancels.collect()
    }

    pub fn waiting_for_queue(&self) -> usize {
        self.queue.len()
    }

    /// A task has left the queue; `result` if it succeeded.
    pub fn task_done(&mut self, key: &ActionKey, result: Option<&ActionResult>) {
        let (Some(task), Some(result)) = (self.tasks.remove(key), result) else {
            return;
        };
        let measurement = Measurement {
            package: task.package,
            kind: task.kind,
            measured: Estimate {
                duration_ms: result.duration_ms(),
                peak_memory: result.usage.peak_memory,
            },
        };
        let waiting = self.measurements.entry(task.pool).or_default();
        if waiting.len() < MEASUREMENTS_KEPT {
            waiting.push(measurement);
        }
    }

    pub fn recorded(&mut self, keys: &[ActionKey]) {
        self.records_under_way -= 1;
        for key in keys {
            self.recording.remove(key);
        }
    }

    pub fn measured(&mut self) {
        self.measuring = false;
    }
}

impl Actor {
    pub fn send_to_queue(&mut self) {
        let outbox = &mut self.outbox;
        if outbox.telling_queue || outbox.queue.is_empty() {
            return;
        }
        outbox.telling_queue = true;
        let count = outbox.queue.len().min(QUEUE_BATCH);
        let said: Vec<ToQueue> = outbox.queue.drain(..count).collect();
        let (queue, owner) = (self.queue.clone(), self.owner.clone());
        self.work.spawn(async move {
            let mut failures = 0;
            let mut said = said.into_iter().peekable();
            // In the order in which it was said, as many of a kind as follow each other in one call.
            while said.peek().is_some() {
                let mut tasks = Vec::new();
                while let Some(ToQueue::Enqueue(task)) =
                    said.next_if(|said| matches!(said, ToQueue::Enqueue(_)))
                {
                    tasks.push(*task);
                }
                if !tasks.is_empty() {
                    let mut retry = Retry::forever("enqueuing tasks");
                    while let Err(error) = queue.enqueue(&owner, tasks.clone()).await {
                        retry.again(&error).await;
                    }
                    failures += retry.failures;
                }
                let mut cancels = Vec::new();
                while let Some(ToQueue::Cancel(key, run)) =
                    said.next_if(|said| matches!(said, ToQueue::Cancel(..)))
                {
                    cancels.push((key, run));
                }
                if !cancels.is_empty() {
                    let mut retry = Retry::forever("cancelling tasks");
                    while let Err(error) = queue.cancel(&owner, &cancels).await {
                        retry.again(&error).await;
                    }
                    failures += retry.failures;
                }
                let mut back_ups = Vec::new();
                while let Some(ToQueue::BackUp(key, run)) =
                    said.next_if(|said| matches!(said, ToQueue::BackUp(..)))
                {
                    back_ups.push((key, run));
                }
                if !back_ups.is_empty() {
                    let mut retry = Retry::forever("having stragglers run a second time");
                    while let Err(error) = queue.back_up(&owner, &back_ups).await {
                        retry.again(&error).await;
                    }
                    failures += retry.failures;
                }
            }
            Message::QueueTold(failures == 0)
        });
    }

    pub fn queue_told(&mut self, at_once: bool) {
        self.outbox.telling_queue = false;
        self.queue_failed |= !at_once;
    }

    pub fn send_lookups(&mut self) {
        let outbox = &mut self.outbox;
        while outbox.lookups_under_way < STORE_LANES && !outbox.lookups.is_empty() {
            outbox.lookups_under_way += 1;
            let count = outbox.lookups.len().min(STORE_BATCH);
            let asked = outbox.lookups.drain(..count).map(|(key, verify)| {
                let known = outbox.recording.get(&key).cloned();
                (key, verify, known)
            });
            let asked: Vec<_> = asked.collect();
            let store = self.store.clone();
            self.work.spawn(async move {
                let answers = stream::iter(asked).map(|(key, verify, known)| {
                    let store = store.clone();
                    async move {
                        let result = look_up(&store, key, verify, known).await;
                        Answer {
                            key,
                            verify,
                            result,
                        }
                    }
                });
                let answers = answers.buffer_unordered(STORE_AT_ONCE).collect().await;
                Message::Answers(answers)
            });
        }
    }

    pub fn take_answers(&mut self, answers: Vec<Answer>) {
        self.outbox.lookups_under_way -= 1;
        for Answer {
            key,
            verify,
            result,
        } in answers
        {
            self.step(Event::CacheAnswer {
                key,
                verify,
                result,
            });
        }
    }

    pub fn send_records(&mut self) {
        let outbox = &mut self.outbox;
        while outbox.records_under_way < STORE_LANES && !outbox.records.is_empty() {
            outbox.records_under_way += 1;
            let count = outbox.records.len().min(STORE_BATCH);
            let records: Vec<_> = outbox.records.drain(..count).collect();
            let store = self.store.clone();
            self.work.spawn(async move {
                let records = stream::iter(records).map(|(key, result, made)| {
                    let store = store.clone();
                    async move {
                        record(&store, key, &result, made).await;
                        key
                    }
                });
                let keys = records.buffer_unordered(STORE_AT_ONCE).collect().await;
                Message::Recorded(keys)
            });
        }
    }

    /// Writes what builds have to say.
    pub fn flush(&mut self) {
        if self.outbox.flushing {
            return;
        }
        let mut appends = Vec::new();
        let mut lost = Vec::new();
        for build in self.builds.values_mut() {
            build.log.bound(self.options.live_output);
            if build.log.is_lost() {
                let record = v1::Build {
                    finished_ms: 0,
                    ..build.record.clone()
                };
                lost.push((build.ownership.clone(), record));
            } else if build.log.is_dirty() || build.is_over() {
                appends.push(build.append());
            }
        }
        if appends.is_empty() && lost.is_empty() {
            return;
        }
        self.outbox.flushing = true;
        let registry = self.registry.clone();
        self.work.spawn(async move {
            let mut flushed = Vec::with_capacity(appends.len() + lost.len());
            for (ownership, record) in lost {
                let restored = registry.restore(&ownership, &record).await;
                flushed.push(Flushed {
                    ownership,
                    outcome: restored.map(Wrote::Restored),
                });
            }
            let appends = stream::iter(appends).map(|append| {
                let registry = registry.clone();
                async move {
                    let appended = registry.append(&append).await;
                    let up_to = append
                        .events
                        .last()
                        .map_or(append.after, |last| last.cursor);
                    let dropped = append.dropped.len();
                    let over = append.record.finished_ms != 0;
                    let outcome = appended.map(|appended| Wrote::Events {
                        up_to,
                        dropped,
                        over,
                        appended,
                    });
                    Flushed {
                        ownership: append.ownership,
                        outcome,
                    }
                }
            });
            let mut appended: Vec<Flushed> =
                appends.buffer_unordered(FLUSH_AT_ONCE).collect().await;
            flushed.append(&mut appended);
            if flushed.iter().any(|flushed| flushed.outcome.is_err()) {
                sleep(FLUSH_PAUSE).await;
            }
            Message::Flushed(flushed)
        });
    }

    pub fn flushed(&mut self, flushed: Vec<Flushed>) {
        self.outbox.flushing = false;
        for Flushed { ownership, outcome } in flushed {
            let id = ownership.build;
            let Some(build) = self.builds.get_mut(&id) else {
                continue;
            };
            if build.ownership != ownership {
                // Taken again meanwhile: the same is written once more under the new proof.
                continue;
            }
            match outcome {
                Ok(Wrote::Events {
                    up_to,
                    dropped,
                    over,
                    appended: Appended::Done,
                }) => {
                    build.log.confirm(up_to);
                    build.log.forget_dropped(dropped);
                    if over {
                        tracing::info!(build = %id, result = ?build.record.result(), "build is over");
                        if let Some(build) = self.builds.remove(&id) {
                            self.archive(build);
                        }
                    }
                }
                Ok(Wrote::Events {
                    appended: Appended::Behind,
                    ..
                }) => {
                    tracing::warn!(build = %id, "registry has lost events of a build; writing them again");
                    build.log.lose();
                }
                Ok(Wrote::Restored(true)) => build.log.start_over(),
                Ok(
                    Wrote::Events {
                        appended: Appended::Lost,
                        ..
                    }
                    | Wrote::Restored(false),
                ) => self.lose(&ownership),
                Err(error) => {
                    tracing::debug!(build = %id, %error, "events of a build are not written yet");
                    self.registry_failed();
                }
            }
        }
    }

    pub fn send_measurements(&mut self) {
        let outbox = &mut self.outbox;
        if outbox.measuring || outbox.measurements.is_empty() {
            return;
        }
        outbox.measuring = true;
        let measurements = std::mem::take(&mut outbox.measurements);
        let registry = self.registry.clone();
        self.work.spawn(async move {
            for (pool, measurements) in measurements {
                let mut retry = Retry::within("recording durations", HISTORY_PATIENCE);
                while let Err(error) = registry.measured(&pool, &measurements).await {
                    if !retry.again(&error).await {
                        break;
                    }
                }
            }
            Message::Measured
        });
    }
}
