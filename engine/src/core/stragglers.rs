//! Runs that take far longer than they did before.
//!
//! Beside the core, not part of it: it is told what the owner of a core hears of running tasks, and says which of them are
//! worth a second worker. What becomes of that the core need not know: a run has one end, whoever brings it about.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use gofarm_proto::ActionKey;

use super::{Millis, RunId, Task};

/// When a run is a straggler: once it takes `factor` times its recorded duration and at least `slack` more than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StragglerOptions {
    /// Durations vary with what else runs on a machine: twice as long is nothing out of the ordinary. 3 by default.
    pub factor: u32,
    /// A second run costs as much as the first, and fetches its inputs: below this there is too little to win. 10 s by
    /// default.
    pub slack: Duration,
}

impl Default for StragglerOptions {
    fn default() -> Self {
        StragglerOptions {
            factor: 3,
            slack: Duration::from_secs(10),
        }
    }
}

/// A run that has become a straggler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Straggler {
    /// Of the task.
    pub key: ActionKey,
    /// Its run.
    pub run: RunId,
    /// Who has it.
    pub worker: Arc<str>,
    /// How long it has been running, milliseconds.
    pub running_ms: u64,
}

/// Running tasks, ordered by when they become stragglers. Each is said to be one at most once, unless its run begins anew.
#[derive(Debug, Default)]
pub struct Stragglers {
    options: StragglerOptions,
    running: HashMap<ActionKey, Running>,
    due: BTreeSet<(Millis, ActionKey)>,
}

#[derive(Debug)]
struct Running {
    run: RunId,
    worker: Arc<str>,
    since: Millis,
    due: Millis,
}

impl Stragglers {
    /// Nothing runs.
    pub fn new(options: StragglerOptions) -> Stragglers {
        Stragglers {
            options,
            ..Stragglers::default()
        }
    }

    /// A worker has this run of a task. That may be told again and again, also after it has been said to be a straggler.
    /// Only tasks with a recorded duration are watched, and none that is to run alone: its second worker would have to be
    /// idle for it.
    pub fn started(&mut self, task: &Task, worker: &Arc<str>, now: Millis) {
        let Some(estimate) = task.duration_estimate.filter(|_| !task.exclusive) else {
            return;
        };
        if let Some(known) = self.running.get(&task.key) {
            if known.run == task.run && known.worker == *worker {
                return;
            }
            self.due.remove(&(known.due, task.key));
        }
        let slack = u64::try_from(self.options.slack.as_millis()).unwrap_or(u64::MAX);
        let long = estimate
            .saturating_mul(self.options.factor.into())
            .max(estimate.saturating_add(slack));
        let due = Millis(now.0.saturating_add(long));
        self.due.insert((due, task.key));
        let running = Running {
            run: task.run,
            worker: worker.clone(),
            since: now,
            due,
        };
        self.running.insert(task.key, running);
    }

    /// It has ended, or nobody wants it any more.
    pub fn ended(&mut self, key: &ActionKey) {
        if let Some(running) = self.running.remove(key) {
            self.due.remove(&(running.due, *key));
        }
    }

    /// Those that have become stragglers since the last time.
    pub fn overdue(&mut self, now: Millis) -> Vec<Straggler> {
        let mut found = Vec::new();
        while let Some((due, key)) = self.due.first().copied()
            && due < now
        {
            self.due.pop_first();
            // Stays known, so that it is not watched anew when its start is told once more.
            if let Some(running) = self.running.get(&key) {
                found.push(Straggler {
                    key,
                    run: running.run,
                    worker: running.worker.clone(),
                    running_ms: now.since(running.since),
                });
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use gofarm_proto::{Digest, v1};

    use super::super::{BuildId, Priority, Share};
    use super::*;

    fn task(key: u8, estimate: Option<u64>) -> Task {
        Task {
            key: ActionKey([key; 32]),
            run: RunId(u64::from(key)),
            definition: Digest::of(b"x"),
            produced: [].into(),
            label: "x".into(),
            package: "x".into(),
            kind: v1::Kind::Compile,
            pool: "default".into(),
            share: Share {
                user: "".into(),
                build: BuildId(1),
            },
            priority: Priority::default(),
            duration_estimate: estimate,
            memory_estimate: None,
            near: None,
            exclusive: false,
            attempt: 1,
        }
    }

    fn keys(stragglers: &mut Stragglers, now: u64) -> Vec<u8> {
        let found = stragglers.overdue(Millis(now));
        found.iter().map(|straggler| straggler.key.0[0]).collect()
    }

    #[test]
    fn a_run_becomes_a_straggler_once_and_no_sooner_than_it_may() {
        let mut stragglers = Stragglers::default();
        let worker: Arc<str> = "w".into();
        // 11 s are the slack; 60 s are three times as long.
        stragglers.started(&task(1, Some(1_000)), &worker, Millis(500));
        stragglers.started(&task(2, Some(20_000)), &worker, Millis(0));
        assert!(keys(&mut stragglers, 11_500).is_empty());
        let found = stragglers.overdue(Millis(11_501));
        let expected = Straggler {
            key: ActionKey([1; 32]),
            run: RunId(1),
            worker: "w".into(),
            running_ms: 11_001,
        };
        assert_eq!(found, [expected]);
        // Its start is told again when everything is published again.
        stragglers.started(&task(1, Some(1_000)), &worker, Millis(11_600));
        assert!(keys(&mut stragglers, 60_000).is_empty());
        assert_eq!(keys(&mut stragglers, 60_001), [2]);
        assert!(keys(&mut stragglers, 10_000_000).is_empty());
    }

    #[test]
    fn what_has_ended_is_none() {
        let mut stragglers = Stragglers::default();
        let worker: Arc<str> = "w".into();
        stragglers.started(&task(1, Some(1_000)), &worker, Millis(0));
        stragglers.ended(&ActionKey([1; 32]));
        stragglers.ended(&ActionKey([9; 32]));
        assert!(keys(&mut stragglers, 1_000_000).is_empty());
        assert!(stragglers.running.is_empty() && stragglers.due.is_empty());
    }

    #[test]
    fn a_new_run_and_a_new_worker_begin_anew() {
        let mut stragglers = Stragglers::default();
        let worker: Arc<str> = "w".into();
        stragglers.started(&task(1, Some(1_000)), &worker, Millis(0));
        // Lost by the queue, and given to another.
        stragglers.started(&task(1, Some(1_000)), &"v".into(), Millis(5_000));
        assert!(keys(&mut stragglers, 16_000).is_empty());
        assert_eq!(keys(&mut stragglers, 16_001), [1]);
        let again = Task {
            run: RunId(7),
            ..task(1, Some(1_000))
        };
        stragglers.started(&again, &"v".into(), Millis(20_000));
        assert!(keys(&mut stragglers, 31_000).is_empty());
        let found = stragglers.overdue(Millis(31_001));
        assert_eq!(found[0].run, RunId(7));
    }

    #[test]
    fn what_was_never_measured_and_what_runs_alone_is_left_in_peace() {
        let mut stragglers = Stragglers::default();
        let worker: Arc<str> = "w".into();
        stragglers.started(&task(1, None), &worker, Millis(0));
        let alone = Task {
            exclusive: true,
            ..task(2, Some(10))
        };
        stragglers.started(&alone, &worker, Millis(0));
        assert!(keys(&mut stragglers, u64::MAX).is_empty());
    }
}
