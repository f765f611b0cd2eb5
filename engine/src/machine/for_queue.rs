//! What is to be told to the queue, in order. Nothing stands in it twice, so it is never longer than what is open.

use std::collections::{BTreeMap, HashMap, HashSet};

use gofarm_proto::ActionKey;

use super::command::ToQueue;
use crate::core::{RunId, Task};

#[derive(Debug, Default)]
pub(super) struct ForQueue {
    /// By number: what was said first goes out first.
    said: BTreeMap<u64, ToQueue>,
    last: u64,
    /// Where a task waits that is replaced when it is said anew. Several pools may have one key.
    enqueues: HashMap<(ActionKey, RunId), u64>,
    cancels: HashSet<(ActionKey, RunId)>,
    back_ups: HashSet<(ActionKey, RunId)>,
}

impl ForQueue {
    /// The task as it is now takes the place of what waits of it: said anew again and again, all of them have their turn.
    pub fn enqueue(&mut self, task: Task) {
        let key = (task.key, task.run);
        let said = ToQueue::Enqueue(Box::new(task));
        match self.enqueues.get(&key) {
            Some(at) => {
                self.said.insert(*at, said);
            }
            None => {
                let at = self.push(said);
                self.enqueues.insert(key, at);
            }
        }
    }

    pub fn cancel(&mut self, key: ActionKey, run: RunId) {
        if self.cancels.insert((key, run)) {
            self.push(ToQueue::Cancel(key, run));
            // Its task is told before, and one that comes later behind it: the queue may have an earlier run of it.
            self.enqueues.remove(&(key, run));
        }
    }

    pub fn back_up(&mut self, key: ActionKey, run: RunId) {
        if self.back_ups.insert((key, run)) {
            self.push(ToQueue::BackUp(key, run));
        }
    }

    /// A task has come to its end: it is not put into the queue once more.
    pub fn left(&mut self, key: ActionKey, run: RunId) {
        if let Some(at) = self.enqueues.remove(&(key, run)) {
            self.said.remove(&at);
        }
    }

    fn push(&mut self, said: ToQueue) -> u64 {
        self.last += 1;
        self.said.insert(self.last, said);
        self.last
    }

    /// Takes out the first, so many at most.
    pub fn take(&mut self, most: usize) -> Vec<ToQueue> {
        let mut taken = Vec::with_capacity(most.min(self.said.len()));
        while taken.len() < most
            && let Some((at, said)) = self.said.pop_first()
        {
            match &said {
                ToQueue::Enqueue(task) => {
                    let key = (task.key, task.run);
                    if self.enqueues.get(&key) == Some(&at) {
                        self.enqueues.remove(&key);
                    }
                }
                ToQueue::Cancel(key, run) => {
                    self.cancels.remove(&(*key, *run));
                }
                ToQueue::BackUp(key, run) => {
                    self.back_ups.remove(&(*key, *run));
                }
            }
            taken.push(said);
        }
        taken
    }

    pub fn len(&self) -> usize {
        self.said.len()
    }

    pub fn is_empty(&self) -> bool {
        self.said.is_empty()
    }

    /// Tasks that wait, but for those that a cancellation follows.
    pub fn enqueues(&self) -> usize {
        self.enqueues.len()
    }

    /// Cancellations and second workers that wait to be told.
    pub fn others(&self) -> (usize, usize) {
        (self.cancels.len(), self.back_ups.len())
    }
}
