//! Lost sources: blobs that no action of a build makes. A client who has them is asked for them, and the task that
//! missed them waits meanwhile.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use gofarm_proto::{ActionKey, Digest, v1};

use super::Engine;
use super::command::Command;
use super::message::Away;
use crate::core::{Event, Millis, Outcome, RunId};

/// How often one key waits for its sources before their loss counts: a store that does not keep them is broken.
const TRIES: u32 = 3;

#[derive(Debug, Default)]
pub(super) struct Wants {
    /// Ordered, so that nothing depends on hashing.
    waiting: BTreeMap<(ActionKey, RunId), Want>,
    tries: HashMap<ActionKey, u32>,
    asking: bool,
    /// Something was provided, or is newly wanted, so the store is asked without waiting for the next tick.
    ask_now: bool,
}

#[derive(Debug)]
struct Want {
    worker: Option<Arc<str>>,
    /// All that the worker missed.
    missed: Box<[Digest]>,
    /// Those of them that have to come from outside, and have not come.
    sources: BTreeSet<Digest>,
    /// When the wait is over, unless something comes.
    until: Millis,
}

impl Wants {
    /// Whether this run has ended and waits for sources, which the core does not know yet.
    pub fn waits(&self, key: &ActionKey, run: RunId) -> bool {
        self.waiting.contains_key(&(*key, run))
    }

    /// Nobody wants this run any more. False if it does not wait for sources.
    pub fn give_up(&mut self, key: &ActionKey, run: RunId) -> bool {
        self.waiting.remove(&(*key, run)).is_some()
    }

    /// A task came to an end that had all it reads.
    pub fn forget(&mut self, key: &ActionKey) {
        self.tries.remove(key);
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
        let mut sources = BTreeSet::new();
        let waiters: Vec<_> = self.core.waiters(&key, run).collect();
        for (build, node) in waiters {
            let unmade = self.core.unmade(build, node, missed);
            if let Some(open) = self.builds.get_mut(&build) {
                let new = unmade.iter().filter(|digest| open.wanted.insert(**digest));
                open.asking.extend(new);
            }
            sources.extend(unmade);
        }
        if sources.is_empty() {
            return false;
        }
        let tries = self.wants.tries.entry(key).or_default();
        *tries += 1;
        if *tries > TRIES {
            self.wants.tries.remove(&key);
            return false;
        }
        let want = Want {
            worker,
            missed: missed.into(),
            sources,
            until: self.patience(),
        };
        self.wants.waiting.insert((key, run), want);
        self.wants.ask_now = true;
        true
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
    }

    /// Asks the store what has come.
    pub(super) fn look_for_wanted(&mut self) {
        let core = &self.core;
        let wants = &mut self.wants;
        wants
            .waiting
            .retain(|(key, run), _| core.waiters(key, *run).next().is_some());
        if wants.asking || wants.waiting.is_empty() {
            return;
        }
        (wants.asking, wants.ask_now) = (true, false);
        let sources = wants.waiting.values().flat_map(|want| &want.sources);
        let asked: BTreeSet<Digest> = sources.copied().collect();
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
        let (now, until) = (self.now.at, self.patience());
        let mut over = Vec::new();
        for (id, want) in &mut self.wants.waiting {
            let before = want.sources.len();
            want.sources.retain(|digest| !come.contains(digest));
            if want.sources.len() < before {
                want.until = until;
            }
            if want.sources.is_empty() || want.until <= now {
                over.push(*id);
            }
        }
        for id in over {
            self.end_want(id);
        }
    }

    /// A client says what it has uploaded, and what nobody has.
    pub(super) fn provided(&mut self, provided: &v1::ProvideRequest) {
        self.wants.ask_now = true;
        let unavailable = provided.unavailable.iter();
        let unavailable: BTreeSet<Digest> = unavailable
            .filter_map(|digest| Digest::try_from(digest).ok())
            .collect();
        if unavailable.is_empty() {
            return;
        }
        let waiting = self.wants.waiting.iter();
        let hopeless = waiting.filter(|(_, want)| !want.sources.is_disjoint(&unavailable));
        let hopeless: Vec<_> = hopeless.map(|(id, _)| *id).collect();
        for id in hopeless {
            self.end_want(id);
        }
    }

    fn end_want(&mut self, (key, run): (ActionKey, RunId)) {
        let Some(want) = self.wants.waiting.remove(&(key, run)) else {
            return;
        };
        let outcome = if want.sources.is_empty() {
            // What other actions make is left to the core.
            let waiters: Vec<_> = self.core.waiters(&key, run).collect();
            let made = want.missed.iter().filter(|digest| {
                waiters.iter().all(|(build, node)| {
                    let unmade = self.core.unmade(*build, *node, &[**digest]);
                    unmade.is_empty()
                })
            });
            let made: Box<[Digest]> = made.copied().collect();
            match made.is_empty() {
                true => Outcome::Released,
                false => Outcome::BlobsMissing(made),
            }
        } else {
            self.wants.tries.remove(&key);
            // The first that is named is the one that the failure names.
            let (lost, rest): (Vec<Digest>, Vec<Digest>) = want
                .missed
                .iter()
                .partition(|digest| want.sources.contains(*digest));
            Outcome::BlobsMissing(lost.into_iter().chain(rest).collect())
        };
        self.step(Event::TaskDone {
            key,
            run,
            worker: want.worker,
            outcome,
        });
    }
}
