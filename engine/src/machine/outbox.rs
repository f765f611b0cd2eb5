//! What goes out to the queue, the action cache and the history. Each has one lane or a few: what is said while a lane is busy waits,
//! and goes out together.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use gofarm_proto::ActionKey;

use super::command::{Question, Recording, ToQueue};
use super::for_queue::ForQueue;
use crate::core::{ActionResult, Estimate, Millis, RunId, Task};
use crate::registry::Measurement;

/// Said to the queue at once.
const QUEUE_BATCH: usize = 2000;
/// Questions to the action cache, and results for it, in one batch; batches at a time.
const STORE_BATCH: usize = 256;
const STORE_LANES: usize = 4;
/// Executions that are kept to be recorded while the registry is away.
const MEASUREMENTS_KEPT: usize = 10_000;
/// Whoever else records a result has done so by then, or it takes long, milliseconds.
const RECORDED_BY_MS: u64 = 1_000;

#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: ForQueue,
    telling_queue: bool,
    /// Cancellations that are held back, while they are.
    held_back: Option<Vec<(ActionKey, RunId)>>,
    lookups: VecDeque<(ActionKey, bool)>,
    /// The same: each stands there once.
    to_look_up: HashSet<(ActionKey, bool)>,
    lookups_under_way: usize,
    records: VecDeque<Recording>,
    records_under_way: usize,
    /// Results on their way into the action cache: whoever asks meanwhile is answered with them.
    recording: HashMap<ActionKey, Arc<ActionResult>>,
    /// Results that somebody else is recording. Nobody is answered with them: they may be taken back or lost meanwhile, which only
    /// the cache knows.
    coming: HashMap<ActionKey, Coming>,
    /// The same, by the time until which they are expected.
    expected: VecDeque<(Millis, ActionKey)>,
    /// Tasks that are in the queue, as they were last put there.
    tasks: HashMap<(ActionKey, RunId), Task>,
    measurements: BTreeMap<Arc<str>, Vec<Measurement>>,
    measuring: bool,
    /// Builds are being written to the registry.
    pub writing: bool,
}

/// A result that somebody else is recording.
#[derive(Debug)]
struct Coming {
    /// Until then it is to be expected. Whoever was to record it may have died.
    until: Millis,
    /// What this engine records then, unless it is there.
    recording: Recording,
    /// It is told to.
    told: bool,
}

impl Outbox {
    pub fn look_up(&mut self, key: ActionKey, verify: bool) {
        if self.to_look_up.insert((key, verify)) {
            self.lookups.push_back((key, verify));
        }
    }

    pub fn enqueue(&mut self, task: Task) {
        self.tasks.insert((task.key, task.run), task.clone());
        self.queue.enqueue(task);
    }

    pub fn cancel(&mut self, key: ActionKey, run: RunId) {
        match &mut self.held_back {
            Some(held) => held.push((key, run)),
            None => self.queue.cancel(key, run),
        }
    }

    pub fn back_up(&mut self, key: ActionKey, run: RunId) {
        self.queue.back_up(key, run);
    }

    /// A result that is to be in the action cache.
    pub fn record(&mut self, recording: Recording) {
        let result = recording.result.clone();
        self.recording.insert(recording.key, result);
        self.records.push_back(recording);
    }

    /// A result that somebody else is writing into the action cache.
    pub fn expect(&mut self, recording: Recording, now: Millis) {
        let (key, until) = (recording.key, Millis(now.0 + RECORDED_BY_MS));
        let coming = Coming {
            until,
            recording,
            told: false,
        };
        self.coming.insert(key, coming);
        self.expected.push_back((until, key));
    }

    /// What should have been recorded by now is recorded by this engine, unless it was.
    pub fn record_expected(&mut self, now: Millis) {
        while let Some((until, key)) = self.expected.front().copied()
            && until <= now
        {
            self.expected.pop_front();
            // Unless it was made once more since.
            if let Some(coming) = self.coming.get_mut(&key)
                && coming.until == until
            {
                coming.told = true;
                self.records.push_back(coming.recording.clone());
            }
        }
    }

    /// All that somebody else should record, and that this engine does not know to be recorded.
    pub fn rest_of_expected(&mut self) -> Vec<Recording> {
        // With those that are told and not answered.
        self.records.clear();
        self.expected.clear();
        let rest = std::mem::take(&mut self.coming).into_values();
        rest.map(|coming| coming.recording).collect()
    }

    /// Nobody is answered any more with a result that was taken back on its way into the action cache.
    pub fn taken_back(&mut self, key: &ActionKey) {
        self.recording.remove(key);
        self.coming.remove(key);
    }

    /// A task that is in the queue.
    pub fn task(&self, key: &ActionKey, run: RunId) -> Option<&Task> {
        self.tasks.get(&(*key, run))
    }

    /// What there is to be told and asked beyond what there can be, with so many open tasks and so many open questions. Nothing is
    /// said or asked twice, however often it is said anew.
    pub fn excess(&self, open_tasks: usize) -> Option<String> {
        let (cancels, back_ups) = self.queue.others();
        let (queue, enqueues) = (self.queue.len(), self.queue.enqueues());
        // A cancelled task may wait before its cancellation.
        let most = open_tasks + 2 * cancels + back_ups;
        (enqueues > open_tasks || queue > most || self.lookups.len() != self.to_look_up.len()).then(|| {
            format!("{queue} wait to be told to the queue, {enqueues} of them tasks, of {open_tasks} open ones, {cancels} cancellations, {back_ups} second workers")
        })
    }

    /// How much waits for its turn or for an answer.
    pub fn waiting(&self) -> usize {
        let under_way = usize::from(self.telling_queue) + self.lookups_under_way;
        under_way
            + self.records_under_way
            + self.queue.len()
            + self.lookups.len()
            + self.records.len()
            + self.coming.len()
    }

    /// From now on, what is cancelled is to wait.
    pub fn hold_back(&mut self) {
        self.held_back = Some(Vec::new());
    }

    /// What was cancelled since [`Outbox::hold_back`].
    pub fn held_back(&mut self) -> Vec<(ActionKey, RunId)> {
        self.held_back.take().unwrap_or_default()
    }

    /// A task has left the queue.
    pub fn left(&mut self, key: &ActionKey, run: RunId) -> Option<Task> {
        self.queue.left(*key, run);
        self.tasks.remove(&(*key, run))
    }

    /// What a task took that succeeded.
    pub fn measure(&mut self, task: Task, result: &ActionResult) {
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

    /// What to tell the queue now, if it is not being told something.
    pub fn next_for_queue(&mut self) -> Option<Vec<ToQueue>> {
        if self.telling_queue || self.queue.is_empty() {
            return None;
        }
        self.telling_queue = true;
        Some(self.queue.take(QUEUE_BATCH))
    }

    pub fn queue_told(&mut self) {
        self.telling_queue = false;
    }

    /// What to ask the action cache now.
    pub fn next_lookups(&mut self) -> Option<Vec<Question>> {
        if self.lookups_under_way == STORE_LANES || self.lookups.is_empty() {
            return None;
        }
        self.lookups_under_way += 1;
        let count = self.lookups.len().min(STORE_BATCH);
        let (recording, coming) = (&self.recording, &self.coming);
        let to_look_up = &mut self.to_look_up;
        let asked = self.lookups.drain(..count).map(|(key, verify)| {
            to_look_up.remove(&(key, verify));
            Question {
                key,
                verify,
                known: recording.get(&key).cloned(),
                coming: coming.contains_key(&key),
            }
        });
        Some(asked.collect())
    }

    pub fn lookups_answered(&mut self) {
        self.lookups_under_way -= 1;
    }

    /// What to write into the action cache now.
    pub fn next_records(&mut self) -> Option<Vec<Recording>> {
        if self.records_under_way == STORE_LANES || self.records.is_empty() {
            return None;
        }
        self.records_under_way += 1;
        let count = self.records.len().min(STORE_BATCH);
        Some(self.records.drain(..count).collect())
    }

    pub fn recorded(&mut self, keys: &[ActionKey]) {
        self.records_under_way -= 1;
        for key in keys {
            self.recording.remove(key);
            // Unless it was made once more since.
            if self.coming.get(key).is_some_and(|coming| coming.told) {
                self.coming.remove(key);
            }
        }
    }

    /// What to record of executions now.
    pub fn next_measurements(&mut self) -> Option<Vec<(Arc<str>, Vec<Measurement>)>> {
        if self.measuring || self.measurements.is_empty() {
            return None;
        }
        self.measuring = true;
        Some(std::mem::take(&mut self.measurements).into_iter().collect())
    }

    pub fn measured(&mut self) {
        self.measuring = false;
    }
}
