//! Lost sources: blobs that no action of a build makes. A client who has them is asked for them, and the task that
//! missed them waits meanwhile.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use gofarm_proto::{ActionKey, Digest, v1};

use super::Engine;
use super::command::Command;
use super::message::Away;
use super::open_build::OpenBuild;
use crate::core::{BuildId, Event, Millis, Outcome, RunId};

/// How often a task waits for its sources before their loss counts: a store that does not keep them is broken.
const TRIES: u32 = 3;

#[derive(Debug, Default)]
pub(super) struct Wants {
    /// Ordered, so that nothing depends on hashing.
    waiting: BTreeMap<(ActionKey, RunId), Want>,
    /// How often the tasks have waited whose sources came and that run again.
    tries: BTreeMap<(ActionKey, RunId), u32>,
    asking: bool,
    /// Something was provided, or is newly wanted, so the store is asked without waiting for the next tick.
    ask_now: bool,
}

/// A run that missed sources.
#[derive(Debug)]
struct Want {
    worker: Option<Arc<str>>,
    /// All that the worker missed.
    missed: Box<[Digest]>,
    /// How often its task has waited, with this time.
    tries: u32,
    /// The builds that wait for it. What one of them cannot bring, another may.
    builds: BTreeMap<BuildId, Asked>,
}

/// What one build is asked for.
#[derive(Debug)]
struct Asked {
    /// What the worker missed, has to come from outside in this build, and has not come.
    sources: BTreeSet<Digest>,
    /// When the wait is over for this build, unless something comes.
    until: Millis,
}

impl Wants {
    /// Whether this run has ended and waits for sources, which the core does not know yet.
    pub fn waits(&self, key: &ActionKey, run: RunId) -> bool {
        self.waiting.contains_key(&(*key, run))
    }

    /// Nobody wants this run any more. False if it does not wait for sources.
    pub fn give_up(&mut self, key: &ActionKey, run: RunId) -> bool {
        self.forget(key, run);
        self.waiting.remove(&(*key, run)).is_some()
    }

    /// A run came to an end that does not wait for sources.
    pub fn forget(&mut self, key: &ActionKey, run: RunId) {
        self.tries.remove(&(*key, run));
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.tries.is_empty() && !self.ask_now
    }
}

impl Engine {
    fn patience(&self) -> Millis {
        Millis(self.now.at.0 + self.options.wanted_patience.as_millis() as u64)
    }

    /// A worker missed these. True if the task waits for sources; the core is told later.
    pub(super) fn want(
        &mut self,
        key: ActionKey,
        run: RunId,
        worker: Option<Arc<str>>,
        missed: &[Digest],
    ) -> bool {
        if self.wants.waits(&key, run) {
            // It was enqueued again before its end was heard of: the same is told once more.
            return true;
        }
        let builds = self.sources(&key, run, missed);
        if builds.values().all(BTreeSet::is_empty) {
            return false;
        }
        let tries = 1 + self.wants.tries.remove(&(key, run)).unwrap_or(0);
        if tries > TRIES {
            return false;
        }
        let until = self.patience();
        let builds = builds.into_iter().map(|(build, sources)| {
            ask_of(self.builds.get_mut(&build), &sources);
            (build, Asked { sources, until })
        });
        let want = Want {
            worker,
            missed: missed.into(),
            tries,
            builds: builds.collect(),
        };
        self.wants.waiting.insert((key, run), want);
        self.wants.ask_now = true;
        // The queue has ended it.
        self.outbox.left(&key, run);
        true
    }

    /// What of the missed has to come from outside, for each build that waits for this run.
    fn sources(
        &self,
        key: &ActionKey,
        run: RunId,
        missed: &[Digest],
    ) -> BTreeMap<BuildId, BTreeSet<Digest>> {
        let mut builds: BTreeMap<BuildId, BTreeSet<Digest>> = BTreeMap::new();
        for (build, node) in self.core.waiters(key, run) {
            let unmade = self.core.unmade(build, node, missed);
            builds.entry(build).or_default().extend(unmade);
        }
        builds
    }

    /// Asks who has come to wait for a run since it missed its sources, and forgets who waits no longer.
    fn ask_newcomers(&mut self) {
        let until = self.patience();
        let waiting = std::mem::take(&mut self.wants.waiting);
        for ((key, run), mut want) in waiting {
            let mut builds = self.sources(&key, run, &want.missed);
            want.builds
                .retain(|build, _| builds.remove(build).is_some());
            for (build, sources) in builds {
                self.wants.ask_now = true;
                ask_of(self.builds.get_mut(&build), &sources);
                want.builds.insert(build, Asked { sources, until });
            }
            if !want.builds.is_empty() {
                self.wants.waiting.insert((key, run), want);
            }
        }
    }

    /// Emits what was gathered, and asks the store if that is worth it.
    pub(super) fn ask_for_wanted(&mut self) {
        if !self.wants.ask_now {
            return;
        }
        for (id, build) in &mut self.builds {
            if build.ownership.is_some() {
                build.ask(self.now.wall_ms);
            } else if !build.asking.is_empty() {
                let (build, digests) = (*id, std::mem::take(&mut build.asking));
                self.commands.push(Command::Want { build, digests });
            }
        }
        self.look_for_wanted();
        self.wants.ask_now &= !self.wants.waiting.is_empty();
    }

    /// Asks the store what has come.
    pub(super) fn look_for_wanted(&mut self) {
        if self.wants.asking {
            return;
        }
        self.wants.ask_now = false;
        self.ask_newcomers();
        if self.wants.waiting.is_empty() {
            return;
        }
        self.wants.asking = true;
        let wants = self.wants.waiting.values();
        let asked = wants.flat_map(|want| want.builds.values());
        let asked: BTreeSet<Digest> = asked.flat_map(|asked| &asked.sources).copied().collect();
        let asked = asked.into_iter().collect();
        self.commands.push(Command::FindMissing(asked));
    }

    pub(super) fn wants_answered(&mut self, missing: Result<Vec<Digest>, Away>, asked: &[Digest]) {
        self.wants.asking = false;
        // While the store is away nothing can come, so nobody's time runs out.
        let Ok(missing) = missing else {
            return;
        };
        let missing: HashSet<Digest> = missing.into_iter().collect();
        let come: HashSet<Digest> = asked
            .iter()
            .filter(|digest| !missing.contains(*digest))
            .copied()
            .collect();
        for build in self.builds.values_mut() {
            // Lost once more, they are asked for once more.
            build.wanted.retain(|digest| !come.contains(digest));
        }
        self.ask_newcomers();
        let (now, until) = (self.now.at, self.patience());
        let (mut come_wholly, mut too_late) = (Vec::new(), Vec::new());
        for (id, want) in &mut self.wants.waiting {
            for (build, asked) in &mut want.builds {
                let before = asked.sources.len();
                asked.sources.retain(|digest| !come.contains(digest));
                if asked.sources.len() < before {
                    asked.until = until;
                }
                if !asked.sources.is_empty() && asked.until <= now {
                    too_late.push((*id, *build, asked.sources.clone()));
                }
            }
            if want.builds.values().all(|asked| asked.sources.is_empty()) {
                come_wholly.push(*id);
            }
        }
        for id in come_wholly {
            self.go_on(id);
        }
        for (id, build, lost) in too_late {
            self.lose_sources(id, build, &lost);
        }
    }

    /// The client of a build says what it has uploaded, and what nobody who watches that build has.
    pub(super) fn provided(&mut self, build: BuildId, provided: &v1::ProvideRequest) {
        self.wants.ask_now |= !self.wants.waiting.is_empty();
        let unavailable = provided.unavailable.iter();
        let unavailable: BTreeSet<Digest> = unavailable
            .filter_map(|digest| Digest::try_from(digest).ok())
            .collect();
        if let Some(open) = self.builds.get_mut(&build) {
            // Wanted once more, they are asked for once more.
            open.wanted.retain(|digest| !unavailable.contains(digest));
        }
        let waiting = self.wants.waiting.iter();
        let hopeless = waiting.filter_map(|(id, want)| {
            let sources = &want.builds.get(&build)?.sources;
            let lost: BTreeSet<Digest> = sources.intersection(&unavailable).copied().collect();
            (!lost.is_empty()).then_some((*id, lost))
        });
        let hopeless: Vec<_> = hopeless.collect();
        for (id, lost) in hopeless {
            self.lose_sources(id, build, &lost);
        }
    }

    /// One build waits in vain. The run goes on waiting for the others; with the last one it is given up.
    fn lose_sources(
        &mut self,
        (key, run): (ActionKey, RunId),
        build: BuildId,
        lost: &BTreeSet<Digest>,
    ) {
        let Some(want) = self.wants.waiting.get_mut(&(key, run)) else {
            return;
        };
        want.builds.remove(&build);
        // The first that is named is the one that the failure names.
        let missed = want.missed.iter();
        let digests = missed.filter(|digest| lost.contains(*digest));
        let digests = digests.copied().collect();
        self.step(Event::SourcesLost {
            build,
            key,
            run,
            digests,
        });
    }

    /// All sources have come that a run missed. What other actions make is left to the core.
    fn go_on(&mut self, (key, run): (ActionKey, RunId)) {
        let Some(want) = self.wants.waiting.remove(&(key, run)) else {
            return;
        };
        let waiters: Vec<_> = self.core.waiters(&key, run).collect();
        let made = want.missed.iter().filter(|digest| {
            waiters.iter().all(|(build, node)| {
                let unmade = self.core.unmade(*build, *node, &[**digest]);
                unmade.is_empty()
            })
        });
        let made: Box<[Digest]> = made.copied().collect();
        let outcome = match made.is_empty() {
            true => Outcome::Released,
            false => Outcome::BlobsMissing(made),
        };
        let released = outcome == Outcome::Released;
        self.step(Event::TaskDone {
            key,
            run,
            worker: want.worker,
            outcome,
        });
        if released
            && let Some((build, node)) = waiters.first()
            && let Some((task, _)) = self.core.task(*build, *node)
        {
            self.wants.tries.insert((key, task.run), want.tries);
        }
    }
}

/// Has a build ask for what it has not asked for yet.
fn ask_of(build: Option<&mut OpenBuild>, sources: &BTreeSet<Digest>) {
    if let Some(build) = build {
        let new = sources
            .iter()
            .filter(|digest| build.wanted.insert(**digest));
        build.asking.extend(new);
    }
}
