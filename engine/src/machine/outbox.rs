//! What goes out to the queue, the action cache and the history. Each has one lane or a few: what is said while a lane is busy waits,
//! and goes out together.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use gofarm_proto::ActionKey;

use super::command::{Question, Recording, ToQueue};
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
    queue: VecDeque<ToQueue>,
    telling_queue: bool,
    lookups: VecDeque<(ActionKey, bool)>,
    lookups_under_way: usize,
    records: VecDeque<Recording>,
    records_under_way: usize,
    /// Results on their way into the action cache: whoever asks meanwhile is answered with them.
    recording: HashMap<ActionKey, Arc<ActionResult>>,
    /// Keys whose results somebody else is recording, and until when that is to be expected. The results are not kept: they may be
    /// taken back or lost meanwhile, which only the cache knows.
    coming: HashMap<ActionKey, Millis>,
    /// The same, by time.
    expected: VecDeque<(Millis, ActionKey)>,
    /// Tasks that are in the queue, as they were last put there.
    tasks: HashMap<(ActionKey, RunId), Task>,
    measurements: BTreeMap<Arc<str>, Vec<Measurement>>,
    measuring: bool,
    /// Builds are being written to the registry.
    pub writing: bool,
}

impl Outbox {
    pub fn look_up(&mut self, key: ActionKey, verify: bool) {
        self.lookups.push_back((key, verify));
    }

    pub fn enqueue(&mut self, task: Task) {
        self.tasks.insert((task.key, task.run), task.clone());
        self.queue.push_back(ToQueue::Enqueue(Box::new(task)));
    }

    pub fn cancel(&mut self, key: ActionKey, run: RunId) {
        self.queue.push_back(ToQueue::Cancel(key, run));
    }

    pub fn back_up(&mut self, key: ActionKey, run: RunId) {
        self.queue.push_back(ToQueue::BackUp(key, run));
    }

    /// A result that is to be in the action cache.
    pub fn record(&mut self, recording: Recording) {
        let result = recording.result.clone();
        self.recording.insert(recording.key, result);
        self.records.push_back(recording);
    }

    /// A result that somebody else is writing into the action cache has this key.
    pub fn expect(&mut self, key: ActionKey, now: Millis) {
        self.forget_expected(now);
        let until = Millis(now.0 + RECORDED_BY_MS);
        self.coming.insert(key, until);
        self.expected.push_back((until, key));
    }

    /// Expects no more what has been recorded by now.
    fn forget_expected(&mut self, now: Millis) {
        while let Some((until, key)) = self.expected.front().copied()
            && until <= now
        {
            self.expected.pop_front();
            // Unless it was made once more since.
            if self.coming.get(&key) == Some(&until) {
                self.coming.remove(&key);
            }
        }
    }

    /// Nobody is answered any more with a result that was taken back on its way into the action cache.
    pub fn taken_back(&mut self, key: &ActionKey) {
        self.recording.remove(key);
    }

    /// A task that is in the queue.
    pub fn task(&self, key: &ActionKey, run: RunId) -> Option<&Task> {
        self.tasks.get(&(*key, run))
    }

    /// How much there is to be told to the queue.
    pub fn for_queue(&self) -> usize {
        self.queue.len()
    }

    /// How much waits for its turn or for an answer.
    pub fn waiting(&self) -> usize {
        let under_way = usize::from(self.telling_queue) + self.lookups_under_way;
        under_way
            + self.records_under_way
            + self.queue.len()
            + self.lookups.len()
            + self.records.len()
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

    /// A task has left the queue.
    pub fn left(&mut self, key: &ActionKey, run: RunId) -> Option<Task> {
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
        let count = self.queue.len().min(QUEUE_BATCH);
        Some(self.queue.drain(..count).collect())
    }

    pub fn queue_told(&mut self) {
        self.telling_queue = false;
    }

    /// What to ask the action cache now.
    pub fn next_lookups(&mut self, now: Millis) -> Option<Vec<Question>> {
        if self.lookups_under_way == STORE_LANES || self.lookups.is_empty() {
            return None;
        }
        self.lookups_under_way += 1;
        let count = self.lookups.len().min(STORE_BATCH);
        self.forget_expected(now);
        let (recording, coming) = (&self.recording, &self.coming);
        let asked = self.lookups.drain(..count).map(|(key, verify)| Question {
            key,
            verify,
            known: recording.get(&key).cloned(),
            coming: coming.contains_key(&key),
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
