//! Cancellations that wait for their time: another replica has the build now, and may be about to join its tasks.

use std::collections::{HashSet, VecDeque};

use gofarm_proto::ActionKey;

use crate::core::{BuildId, Millis, RunId};

#[derive(Debug, Default)]
pub(super) struct Delayed {
    /// By time.
    waiting: VecDeque<(Millis, BuildId, ActionKey, RunId)>,
    /// The same.
    runs: HashSet<(ActionKey, RunId)>,
}

impl Delayed {
    /// Nobody wants this run here since a build was lost. Of all that waits it is due last.
    pub fn push(&mut self, due: Millis, build: BuildId, key: ActionKey, run: RunId) {
        self.waiting.push_back((due, build, key, run));
        self.runs.insert((key, run));
    }

    /// Whether its cancellation waits.
    pub fn has(&self, key: &ActionKey, run: RunId) -> bool {
        self.runs.contains(&(*key, run))
    }

    /// The next one whose time has come.
    pub fn due(&mut self, now: Millis) -> Option<(ActionKey, RunId)> {
        self.waiting.front().filter(|(due, ..)| *due <= now)?;
        let (_, _, key, run) = self.waiting.pop_front()?;
        self.runs.remove(&(key, run));
        Some((key, run))
    }

    /// Those of a build, which wait no longer.
    pub fn of(&mut self, build: BuildId) -> Vec<(ActionKey, RunId)> {
        let mut taken = Vec::new();
        self.waiting.retain(|(_, of, key, run)| {
            if *of == build {
                taken.push((*key, *run));
            }
            *of != build
        });
        for run in &taken {
            self.runs.remove(run);
        }
        taken
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }
}
