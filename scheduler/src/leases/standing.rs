//! Which workers are trusted with tasks: plain counting, without I/O or a clock of its own.
//!
//! A worker with a broken disk or a missing library answers each task with a crash, at once, and so is always the one
//! that is free for the next: it would use up the attempts of every task of the farm. So after a crash a worker waits
//! a little, to let the others have the task; and after several crashes in a row, while others succeed, it is set aside
//! and has to prove itself with one task at a time. A worker that has nobody beside it is always trusted: then the
//! tasks' own attempts end the build, with reasons, instead of a wait without end. And it does not get a task again that
//! it crashed with, as long as somebody else may take it: the attempts of a task are for different workers.
//!
//! Soft, and each replica for itself: a worker is judged by what it told this one.

use std::collections::HashMap;
use std::time::Duration;

use gofarm_proto::{ActionKey, v1};
use tokio::time::Instant;

use gofarm_engine::core::Outcome;

/// So many crashes in a row set a worker aside.
const CRASHES: u32 = 5;
/// The wait after the first crash; doubled by each further one.
const AFTER_CRASH: Duration = Duration::from_secs(1);
/// How long a worker is set aside before its first probe; doubled by each that crashes.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(30 * 60);
/// So often a worker that comes upon a task that it crashed with leaves it to others, waiting twice as long each time. Then
/// it takes it: the others may be too small, or of another platform.
const LEAVES: u32 = 6;
/// Others that were not heard of for so long are no others.
const PRESENT: Duration = Duration::from_secs(30);
/// Workers that were not heard of for so long are forgotten.
const FORGOTTEN: Duration = Duration::from_secs(60 * 60);

/// What the end of a task says about its worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It can bring tasks to an end.
    Able,
    /// It could not this time, and why.
    Crashed(String),
    /// Nothing.
    Silent,
}

impl Verdict {
    pub fn of(outcome: &Outcome) -> Verdict {
        match outcome {
            Outcome::Succeeded(_) | Outcome::Failed(_) => Verdict::Able,
            Outcome::Crashed { reason } => Verdict::Crashed(reason.to_string()),
            _ => Verdict::Silent,
        }
    }
}

/// What a worker may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowance {
    /// Whatever fits.
    All,
    /// One task; [`Standings::probing`] is to be told when it got one.
    Probe,
    /// Nothing before this moment.
    Nothing {
        /// When to ask again.
        until: Instant,
    },
}

/// All workers that this replica has met.
#[derive(Debug, Default)]
pub(super) struct Standings {
    workers: HashMap<String, Standing>,
}

#[derive(Debug)]
struct Standing {
    worker: v1::Worker,
    heard: Instant,
    succeeded: Option<Instant>,
    crashes: Option<Crashes>,
    /// Tasks that it crashed with since it last succeeded, and how often it has left each to others since.
    crashed_with: HashMap<ActionKey, u32>,
}

/// Crashes in a row.
#[derive(Debug)]
struct Crashes {
    count: u32,
    since: Instant,
    reason: String,
    /// Nothing is given before.
    until: Instant,
    /// Set aside: the pause that ends at `until`.
    aside: Option<Duration>,
}

impl Standings {
    /// A worker asks for tasks. Returns what it may have, and how it is to be listed.
    pub fn meet(&mut self, worker: v1::Worker, now: Instant) -> (Allowance, v1::Worker) {
        self.workers
            .retain(|_, standing| now.duration_since(standing.heard) < FORGOTTEN);
        let name = worker.name.clone();
        let standing = self
            .workers
            .entry(name.clone())
            .or_insert_with(|| Standing {
                worker: v1::Worker::default(),
                heard: now,
                succeeded: None,
                crashes: None,
                crashed_with: HashMap::new(),
            });
        standing.worker = worker;
        standing.heard = now;
        let allowance = self.allowance(&name, now);
        (allowance, self.listed(&name, now).unwrap_or_default())
    }

    /// A worker renews so many leases. `None` when this replica does not know it.
    pub fn heard(&mut self, name: &str, running: usize, now: Instant) -> Option<v1::Worker> {
        let standing = self.workers.get_mut(name)?;
        standing.heard = now;
        // Some of the leases may have been taken ahead.
        let running = u32::try_from(running).unwrap_or(u32::MAX);
        standing.worker.running = running.min(standing.worker.slots);
        self.listed(name, now)
    }

    /// A worker that was set aside has a task to prove itself with. Until that ends, or as long again as the pause
    /// was, it gets no other.
    pub fn probing(&mut self, name: &str, now: Instant) {
        if let Some(crashes) = self.crashes(name)
            && let Some(pause) = crashes.aside
        {
            crashes.until = now + pause;
        }
    }

    /// Whether a worker has to leave this task, which it just got, to others.
    pub fn leaves(&mut self, name: &str, key: &ActionKey, now: Instant) -> bool {
        let others = self.others(name).any(|other| {
            now.duration_since(other.heard) < PRESENT && !other.crashed_with.contains_key(key)
        });
        let Some(standing) = self.workers.get_mut(name) else {
            return false;
        };
        let Some(left) = standing.crashed_with.get_mut(key) else {
            return false;
        };
        if !others || *left >= LEAVES {
            return false;
        }
        let wait = AFTER_CRASH * (1 << *left);
        *left += 1;
        if let Some(crashes) = &mut standing.crashes {
            crashes.until = crashes.until.max(now + wait);
        }
        true
    }

    /// A task of this worker has ended.
    pub fn judge(&mut self, name: &str, key: ActionKey, verdict: Verdict, now: Instant) {
        let Some(standing) = self.workers.get_mut(name) else {
            return;
        };
        let reason = match verdict {
            Verdict::Silent => return,
            Verdict::Able => {
                standing.succeeded = Some(now);
                standing.crashes = None;
                standing.crashed_with.clear();
                return;
            }
            Verdict::Crashed(reason) => reason,
        };
        standing.crashed_with.insert(key, 0);
        let crashes = standing.crashes.get_or_insert(Crashes {
            count: 0,
            since: now,
            reason: String::new(),
            until: now,
            aside: None,
        });
        crashes.count += 1;
        crashes.reason = reason;
        let (count, since, aside) = (crashes.count, crashes.since, crashes.aside);
        let pause = match aside {
            Some(pause) => Some((pause * 2).min(LONGEST_PAUSE)),
            None if count >= CRASHES && self.others_succeeded(name, since) => Some(FIRST_PAUSE),
            None => None,
        };
        let Some(crashes) = self.crashes(name) else {
            return;
        };
        if crashes.aside.is_none() && pause.is_some() {
            tracing::warn!(
                worker = name,
                crashes = count,
                reason = crashes.reason,
                "set a worker aside"
            );
        }
        crashes.aside = pause;
        crashes.until = now + pause.unwrap_or(AFTER_CRASH * (1 << (count - 1).min(CRASHES)));
    }

    fn crashes(&mut self, name: &str) -> Option<&mut Crashes> {
        self.workers.get_mut(name)?.crashes.as_mut()
    }

    fn allowance(&self, name: &str, now: Instant) -> Allowance {
        let crashes = self.workers.get(name).and_then(|s| s.crashes.as_ref());
        match crashes {
            Some(_) if !self.others_present(name, now) => Allowance::All,
            Some(crashes) if now < crashes.until => Allowance::Nothing {
                until: crashes.until,
            },
            Some(Crashes { aside: Some(_), .. }) => Allowance::Probe,
            _ => Allowance::All,
        }
    }

    fn others(&self, name: &str) -> impl Iterator<Item = &Standing> {
        self.workers
            .iter()
            .filter(move |(other, _)| *other != name)
            .map(|(_, standing)| standing)
    }

    /// Others that are not set aside themselves, and could take its tasks by their pool.
    fn others_present(&self, name: &str, now: Instant) -> bool {
        let pool = self.workers.get(name).map(|standing| &standing.worker.pool);
        self.others(name).any(|other| {
            let aside = other.crashes.as_ref().is_some_and(|c| c.aside.is_some());
            now.duration_since(other.heard) < PRESENT && !aside && Some(&other.worker.pool) == pool
        })
    }

    fn others_succeeded(&self, name: &str, since: Instant) -> bool {
        self.others(name)
            .any(|other| other.succeeded.is_some_and(|when| when >= since))
    }

    fn listed(&self, name: &str, now: Instant) -> Option<v1::Worker> {
        let standing = self.workers.get(name)?;
        let mut worker = standing.worker.clone();
        if let Some(Crashes {
            count,
            reason,
            until,
            aside: Some(_),
            ..
        }) = &standing.crashes
        {
            let next = until.saturating_duration_since(now).as_secs();
            worker.set_aside = format!(
                "{count} tasks in a row came to no end, the last: {reason}; it is tried again in {next} s"
            );
        }
        Some(worker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(name: &str) -> v1::Worker {
        v1::Worker {
            name: name.to_owned(),
            pool: "default".to_owned(),
            ..v1::Worker::default()
        }
    }

    fn crash(standings: &mut Standings, name: &str, now: Instant) {
        let crashed = Verdict::Crashed("no disk".to_owned());
        standings.judge(name, KEY, crashed, now);
    }

    const KEY: ActionKey = ActionKey([1; 32]);

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_worker_that_only_crashes_is_set_aside_and_proves_itself() {
        let mut standings = Standings::default();
        let mut now = Instant::now();
        standings.meet(worker("good"), now);
        assert_eq!(standings.meet(worker("bad"), now).0, Allowance::All);
        for count in 1..=CRASHES {
            crash(&mut standings, "bad", now);
            standings.judge("good", KEY, Verdict::Able, now);
            let (allowance, listed) = standings.meet(worker("bad"), now);
            assert!(matches!(allowance, Allowance::Nothing { .. }), "{count}");
            assert_eq!(listed.set_aside.is_empty(), count < CRASHES);
            if count < CRASHES {
                now += 20 * SECOND;
                standings.meet(worker("good"), now);
                assert_eq!(standings.meet(worker("bad"), now).0, Allowance::All);
            }
        }
        // The first probe comes after 30 s, and while it runs there is no second.
        now += FIRST_PAUSE - SECOND;
        standings.meet(worker("good"), now);
        assert_ne!(standings.meet(worker("bad"), now).0, Allowance::Probe);
        now += SECOND;
        assert_eq!(standings.meet(worker("bad"), now).0, Allowance::Probe);
        standings.probing("bad", now);
        assert_ne!(standings.meet(worker("bad"), now).0, Allowance::Probe);
        // It crashes: twice the pause.
        crash(&mut standings, "bad", now);
        now += 2 * FIRST_PAUSE - SECOND;
        standings.meet(worker("good"), now);
        assert_ne!(standings.meet(worker("bad"), now).0, Allowance::Probe);
        now += SECOND;
        assert_eq!(standings.meet(worker("bad"), now).0, Allowance::Probe);
        // It succeeds.
        standings.judge("bad", KEY, Verdict::Able, now);
        let (allowance, listed) = standings.meet(worker("bad"), now);
        assert_eq!(
            (allowance, listed.set_aside),
            (Allowance::All, String::new())
        );
    }

    #[test]
    fn a_task_that_a_worker_crashed_with_is_left_to_others_for_a_while() {
        let mut standings = Standings::default();
        let now = Instant::now();
        for name in ["one", "two"] {
            standings.meet(worker(name), now);
        }
        assert!(!standings.leaves("one", &KEY, now));
        crash(&mut standings, "one", now);
        assert!(!standings.leaves("one", &ActionKey([2; 32]), now));
        for _ in 0..LEAVES {
            assert!(standings.leaves("one", &KEY, now));
            let (allowance, _) = standings.meet(worker("one"), now);
            assert!(matches!(allowance, Allowance::Nothing { .. }));
        }
        assert!(!standings.leaves("one", &KEY, now), "nobody else takes it");
        // Nobody is left who has not crashed with it.
        crash(&mut standings, "two", now);
        assert!(!standings.leaves("two", &KEY, now));
    }

    #[test]
    fn where_nobody_succeeds_the_worker_is_not_to_blame() {
        let mut standings = Standings::default();
        let mut now = Instant::now();
        for _ in 0..3 * CRASHES {
            now += 60 * SECOND;
            standings.meet(worker("other"), now);
            standings.meet(worker("one"), now);
            crash(&mut standings, "one", now);
            assert_eq!(standings.meet(worker("one"), now).1.set_aside, "");
        }
    }

    #[test]
    fn a_worker_without_others_is_always_trusted() {
        let mut standings = Standings::default();
        let now = Instant::now();
        standings.meet(worker("gone"), now);
        standings.meet(worker("bad"), now);
        for _ in 0..CRASHES {
            crash(&mut standings, "bad", now);
            standings.judge("gone", KEY, Verdict::Able, now);
        }
        assert_ne!(standings.meet(worker("bad"), now).0, Allowance::All);
        let now = now + PRESENT;
        assert_eq!(standings.meet(worker("bad"), now).0, Allowance::All);
    }
}
