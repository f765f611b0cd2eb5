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
//!
//! Workers ask many times a second, so what is asked about the others is answered without going through them.

#[cfg(test)]
#[path = "standing_test.rs"]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use gofarm_proto::{ActionKey, v1};
use tokio::time::Instant;

use super::by_time::ByTime;
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
/// And so are those that were heard of before so many others: twice as many as a farm is made for.
const MOST: usize = 20_000;
/// Tasks that a worker crashed with. Beyond that it starts anew: it is set aside for long, or all that there is.
const MOST_TASKS: usize = 1_000;
/// Workers that are asked whether they can have a task that another one crashed with. When so many crashed with it as well, it
/// is the task.
const ASKED: usize = 64;

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
    workers: HashMap<Arc<str>, Standing>,
    /// All of them by when they were heard of. This and what follows is kept by [`Standings::change`].
    heard: ByTime,
    /// The same of each pool, of those that are not set aside.
    trusted: HashMap<String, ByTime>,
    /// Those that have succeeded, by when they last did.
    succeeded: ByTime,
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

impl Standing {
    fn is_aside(&self) -> bool {
        let crashes = self.crashes.as_ref();
        crashes.is_some_and(|crashes| crashes.aside.is_some())
    }
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
        let name: Arc<str> = worker.name.as_str().into();
        self.forget(&name, now);
        if !self.workers.contains_key(&name) {
            let standing = Standing {
                worker: v1::Worker::default(),
                heard: now,
                succeeded: None,
                crashes: None,
                crashed_with: HashMap::new(),
            };
            self.workers.insert(name.clone(), standing);
            self.index(&name, true);
        }
        self.change(&name, |standing| {
            standing.worker = worker;
            standing.heard = now;
        });
        let allowance = self.allowance(&name, now);
        (allowance, self.listed(&name, now).unwrap_or_default())
    }

    /// A worker renews so many leases. `None` when this replica does not know it.
    pub fn heard(&mut self, name: &str, running: usize, now: Instant) -> Option<v1::Worker> {
        self.change(name, |standing| {
            standing.heard = now;
            // Some of the leases may have been taken ahead.
            let running = u32::try_from(running).unwrap_or(u32::MAX);
            standing.worker.running = running.min(standing.worker.slots);
        })?;
        self.listed(name, now)
    }

    /// A worker that was set aside has a task to prove itself with. Until that ends, or as long again as the pause
    /// was, it gets no other.
    pub fn probing(&mut self, name: &str, now: Instant) {
        self.change(name, |standing| {
            if let Some(crashes) = &mut standing.crashes
                && let Some(pause) = crashes.aside
            {
                crashes.until = now + pause;
            }
        });
    }

    /// Whether a worker has to leave this task, which it just got, to others.
    pub fn leaves(&mut self, name: &str, key: &ActionKey, now: Instant) -> bool {
        let standing = self.workers.get(name);
        let left = standing.and_then(|standing| standing.crashed_with.get(key));
        if left.is_none_or(|left| *left >= LEAVES) || !self.others_take(name, key, now) {
            return false;
        }
        let left = self.change(name, |standing| {
            let left = standing.crashed_with.get_mut(key)?;
            let wait = AFTER_CRASH * (1 << *left);
            *left += 1;
            if let Some(crashes) = &mut standing.crashes {
                crashes.until = crashes.until.max(now + wait);
            }
            Some(())
        });
        left.flatten().is_some()
    }

    /// A task of this worker has ended.
    pub fn judge(&mut self, name: &str, key: ActionKey, verdict: Verdict, now: Instant) {
        match verdict {
            Verdict::Silent => {}
            Verdict::Able => {
                self.change(name, |standing| {
                    standing.succeeded = Some(now);
                    standing.crashes = None;
                    standing.crashed_with.clear();
                });
            }
            Verdict::Crashed(reason) => self.crashed(name, key, reason, now),
        }
    }

    fn crashed(&mut self, name: &str, key: ActionKey, reason: String, now: Instant) {
        let Some(standing) = self.workers.get(name) else {
            return;
        };
        let before = standing.crashes.as_ref();
        let since = before.map_or(now, |crashes| crashes.since);
        let count = before.map_or(0, |crashes| crashes.count) + 1;
        let aside = before.and_then(|crashes| crashes.aside);
        let pause = match aside {
            Some(pause) => Some((pause * 2).min(LONGEST_PAUSE)),
            None if count >= CRASHES && self.others_succeeded(name, since) => Some(FIRST_PAUSE),
            None => None,
        };
        if aside.is_none() && pause.is_some() {
            tracing::warn!(worker = name, crashes = count, reason, "set a worker aside");
        }
        self.change(name, |standing| {
            if standing.crashed_with.len() >= MOST_TASKS {
                standing.crashed_with.clear();
            }
            standing.crashed_with.insert(key, 0);
            standing.crashes = Some(Crashes {
                count,
                since,
                reason,
                until: now + pause.unwrap_or(AFTER_CRASH * (1 << (count - 1).min(CRASHES))),
                aside: pause,
            });
        });
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

    /// Others that are not set aside themselves, and could take its tasks by their pool.
    fn others_present(&self, name: &str, now: Instant) -> bool {
        let standing = self.workers.get(name);
        let pool = standing.and_then(|standing| self.trusted.get(&standing.worker.pool));
        let latest = pool.into_iter().flat_map(ByTime::latest);
        let mut present = latest.take_while(|(heard, _)| is_present(*heard, now));
        present.any(|(_, other)| **other != *name)
    }

    fn others_succeeded(&self, name: &str, since: Instant) -> bool {
        let latest = self.succeeded.latest();
        let mut since = latest.take_while(|(when, _)| *when >= since);
        since.any(|(_, other)| **other != *name)
    }

    /// Others, of those heard of last, that have not crashed with this task.
    fn others_take(&self, name: &str, key: &ActionKey, now: Instant) -> bool {
        let latest = self.heard.latest().take(ASKED);
        let mut present = latest.take_while(|(heard, _)| is_present(*heard, now));
        present.any(|(_, other)| {
            let standing = self.workers.get(other);
            **other != *name && standing.is_some_and(|of| !of.crashed_with.contains_key(key))
        })
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

    /// Makes room for this worker. Whoever is forgotten here was met once, so it costs no more than meeting it did.
    fn forget(&mut self, coming: &str, now: Instant) {
        while let Some((heard, name)) = self.heard.earliest() {
            let room = self.heard.len() < MOST || self.workers.contains_key(coming);
            if room && now.duration_since(heard) < FORGOTTEN {
                break;
            }
            self.index(&name, false);
            self.workers.remove(&name);
        }
    }

    /// Changes what is known of a worker, and with it where it stands among the others. None of one that is not known.
    fn change<T>(&mut self, name: &str, change: impl FnOnce(&mut Standing) -> T) -> Option<T> {
        let name = self.workers.get_key_value(name)?.0.clone();
        self.index(&name, false);
        let changed = self.workers.get_mut(&name).map(change);
        self.index(&name, true);
        changed
    }

    /// Puts a worker where it belongs among the others, or takes it from there.
    fn index(&mut self, name: &Arc<str>, there: bool) {
        let Some(standing) = self.workers.get(name) else {
            return;
        };
        let place = |when| if there { (None, when) } else { (when, None) };
        let (before, now) = place(Some(standing.heard));
        self.heard.set(name, before, now);
        if !standing.is_aside() {
            let pool = &standing.worker.pool;
            let trusted = self.trusted.entry(pool.clone()).or_default();
            trusted.set(name, before, now);
            if trusted.len() == 0 {
                self.trusted.remove(pool);
            }
        }
        let (before, now) = place(standing.succeeded);
        self.succeeded.set(name, before, now);
    }
}

fn is_present(heard: Instant, now: Instant) -> bool {
    now.duration_since(heard) < PRESENT
}
