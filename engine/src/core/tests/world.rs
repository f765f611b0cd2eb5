//! A farm around the core, driven by a list of numbers: a queue, workers, a cache and a store that loses blobs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gofarm_proto::{ActionKey, Digest};

use super::model::{self, Shape};
use crate::core::*;

/// What a run of the world may do to the core.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weather {
    /// Workers crash, run out of memory, lose leases, are drained.
    pub faults: bool,
    /// Blobs are lost.
    pub losses: bool,
    /// What is made again comes out differently.
    pub nondeterminism: bool,
    /// Builds are cancelled.
    pub cancels: bool,
}

/// The reason of those that run out of memory alone.
const ALONE: &str = "alone";

#[derive(Debug)]
struct Run {
    task: Task,
    started: Option<u64>,
    cancelled: bool,
}

/// What the watchers of a build were told last about each node.
#[derive(Debug, Default)]
pub(super) struct Watched {
    pub total: u32,
    pub nodes: BTreeMap<u32, NodeEvent>,
    pub summary: Option<BuildSummary>,
    pub submitted: u64,
}

pub(super) struct World {
    pub core: Core,
    weather: Weather,
    clock: u64,
    runs: BTreeMap<ActionKey, Run>,
    lookups: BTreeSet<(ActionKey, bool)>,
    cache: BTreeMap<ActionKey, Arc<ActionResult>>,
    store: BTreeSet<Digest>,
    /// When a blob was lost last.
    lost: BTreeMap<Digest, u64>,
    executions: BTreeMap<ActionKey, u32>,
    /// When the run began whose result was recorded last.
    recorded: BTreeMap<ActionKey, u64>,
    pub shapes: BTreeMap<u128, Shape>,
    pub watched: BTreeMap<u128, Watched>,
    old: Vec<Event>,
}

impl World {
    pub fn new(weather: Weather) -> World {
        World {
            core: Core::new(CoreOptions::default()),
            weather,
            clock: 0,
            runs: BTreeMap::new(),
            lookups: BTreeSet::new(),
            cache: BTreeMap::new(),
            store: BTreeSet::new(),
            lost: BTreeMap::new(),
            executions: BTreeMap::new(),
            recorded: BTreeMap::new(),
            shapes: BTreeMap::new(),
            watched: BTreeMap::new(),
            old: Vec::new(),
        }
    }

    pub fn submit(&mut self, id: u128, shape: &Shape) {
        self.shapes.insert(id, shape.clone());
        let watched = Watched {
            submitted: self.clock + 1,
            ..Watched::default()
        };
        self.watched.insert(id, watched);
        self.tell(Event::Submit(Box::new(shape.spec(id))));
    }

    /// Does one thing; what it is depends on the number and on what there is to do.
    pub fn act(&mut self, number: u16) {
        let which = (number >> 4) as usize;
        match number & 15 {
            0..=3 => self.answer(which),
            4..=5 => self.start(which),
            6..=9 => self.end(which, 0),
            10 if self.weather.faults => self.end(which, 1 + which % 5),
            11 if self.weather.losses => {
                // The more blobs there are the more often.
                if let Some(digest) = self.store.iter().nth(which % 16).copied() {
                    self.lose(digest);
                }
            }
            12 if self.weather.losses => self.miss_an_output(which),
            13 if self.weather.cancels && which.is_multiple_of(4) => {
                let id = (which / 4 % self.watched.len().max(1)) as u128;
                self.tell(Event::Cancel(BuildId(id)));
            }
            14 if !self.old.is_empty() => {
                let event = self.old[which % self.old.len()].clone();
                self.tell_again(event);
            }
            15 => self.tell(Event::Republish),
            _ => self.answer(which),
        }
    }

    /// Lets everything come to its end, without further trouble. Panics if it never does.
    pub fn drain(&mut self) {
        for _ in 0..20_000 {
            if !self.lookups.is_empty() {
                self.answer(0);
            } else if !self.runs.is_empty() {
                self.start(0);
                self.end(0, 0);
            } else {
                return;
            }
        }
        panic!("this goes on forever: {:?}", self.runs);
    }

    fn lose(&mut self, digest: Digest) {
        self.store.remove(&digest);
        self.lost.insert(digest, self.clock);
    }

    fn answer(&mut self, which: usize) {
        let Some(question) = pick(&self.lookups, which).copied() else {
            return;
        };
        self.lookups.remove(&question);
        let (key, verify) = question;
        let result = self.cache.get(&key).cloned();
        let there = |result: &Arc<ActionResult>| {
            let mut outputs = result.outputs.iter();
            !verify || outputs.all(|output| self.store.contains(&output.digest))
        };
        let result = result.filter(there);
        self.tell_and_keep(Event::CacheAnswer {
            key,
            verify,
            result,
        });
    }

    fn start(&mut self, which: usize) {
        let clock = self.clock;
        let keys: Vec<ActionKey> = self.runs.keys().copied().collect();
        let Some(run) = pick(&keys, which).and_then(|key| self.runs.get_mut(key)) else {
            return;
        };
        run.started.get_or_insert(clock + 1);
        let (key, run) = (run.task.key, run.task.run);
        let worker = format!("w{}", which % 3).into();
        self.tell_and_keep(Event::TaskStarted { key, run, worker });
    }

    /// Ends a run honestly, or with a fault.
    fn end(&mut self, which: usize, fault: usize) {
        let keys: Vec<ActionKey> = self.runs.keys().copied().collect();
        let Some(run) = pick(&keys, which).and_then(|key| self.runs.remove(key)) else {
            return;
        };
        let task = run.task;
        let missing: Box<[Digest]> = {
            let absent = |digest: &&Digest| !self.store.contains(*digest);
            task.produced.iter().filter(absent).copied().collect()
        };
        let outcome = match fault {
            1 => Outcome::LostLease,
            // What is to run alone may have been joined to a run that does not, and the other way round.
            2 => match task.exclusive != which.is_multiple_of(3) {
                true => Outcome::OutOfMemory {
                    alone: true,
                    reason: ALONE.into(),
                },
                false => Outcome::OutOfMemory {
                    alone: false,
                    reason: "in company".into(),
                },
            },
            3 => Outcome::Released,
            4 => Outcome::Crashed { reason: "x".into() },
            5 => Outcome::Cancelled,
            _ if run.cancelled && which.is_multiple_of(2) => Outcome::Cancelled,
            _ if !missing.is_empty() => Outcome::BlobsMissing(missing),
            _ => self.execute(&task, run.started),
        };
        let in_company = matches!(outcome, Outcome::OutOfMemory { alone: false, .. });
        self.tell_and_keep(Event::TaskDone {
            key: task.key,
            run: task.run,
            worker: None,
            outcome,
        });
        if in_company && let Some(next) = self.runs.get(&task.key) {
            assert!(
                next.task.exclusive || next.task.attempt == 1,
                "out of memory in company, and run in company again: {:?}",
                next.task
            );
        }
    }

    fn execute(&mut self, task: &Task, started: Option<u64>) -> Outcome {
        let times = self.executions.entry(task.key).or_default();
        let generation = if self.weather.nondeterminism {
            *times
        } else {
            0
        };
        *times += 1;
        match model::run(&task.label, task.key, &task.produced, generation) {
            Some(result) => {
                let digests = result.outputs.iter().map(|output| output.digest);
                self.store.extend(digests);
                self.recorded
                    .insert(task.key, started.unwrap_or(self.clock + 1));
                Outcome::Succeeded(result)
            }
            None => Outcome::Failed(Arc::new(ActionResult {
                exit_code: 1,
                ..ActionResult::default()
            })),
        }
    }

    /// A reader outside finds that outputs of some action are gone.
    fn miss_an_output(&mut self, which: usize) {
        let keys: Vec<ActionKey> = self.cache.keys().copied().collect();
        let Some(key) = pick(&keys, which).copied() else {
            return;
        };
        let outputs = self.cache[&key].outputs.iter();
        let digests: Box<[Digest]> = outputs.map(|output| output.digest).collect();
        for digest in &digests {
            self.lose(*digest);
        }
        self.tell(Event::OutputsMissing { key, digests });
    }

    fn tell_and_keep(&mut self, event: Event) {
        self.old.push(event.clone());
        self.tell(event);
    }

    /// Says something that was said before. Only what is about a finished question can be repeated: an answer that is
    /// repeated while the same question is open again would be an answer.
    fn tell_again(&mut self, event: Event) {
        match &event {
            Event::CacheAnswer { key, verify, .. } if self.lookups.contains(&(*key, *verify)) => {}
            _ => self.tell(event),
        }
    }

    fn tell(&mut self, event: Event) {
        self.clock += 1;
        let effects = self.core.step(event, Millis(self.clock));
        self.core.check_invariants();
        for effect in effects {
            self.obey(effect);
        }
    }

    fn obey(&mut self, effect: Effect) {
        match effect {
            Effect::LookUp { key, verify } => {
                self.lookups.insert((key, verify));
            }
            Effect::Enqueue(task) => match self.runs.get_mut(&task.key) {
                Some(open) => {
                    assert_eq!(open.task.run, task.run, "two tasks of one key");
                    open.task = task;
                }
                None => {
                    let run = Run {
                        task,
                        started: None,
                        cancelled: false,
                    };
                    self.runs.insert(run.task.key, run);
                }
            },
            Effect::CancelTask { key, run } => {
                let open = self.runs.get_mut(&key).expect("cancels what is open");
                assert_eq!(open.task.run, run);
                open.cancelled = true;
            }
            Effect::Record { key, result } => {
                self.cache.insert(key, result);
            }
            Effect::Notify { build, event } => self.watch(build, event),
        }
    }

    fn watch(&mut self, build: BuildId, event: BuildEvent) {
        let watched = self.watched.get_mut(&build.0).expect("a known build");
        assert!(watched.summary.is_none(), "news of a finished build");
        match event {
            BuildEvent::Accepted { total } => watched.total = total,
            BuildEvent::Node { node, event } => {
                if let NodeEvent::Finished { how, key, .. } = &event
                    && self.shapes[&build.0].no_cache
                {
                    assert_ne!(*how, Resolution::Cached);
                    assert!(
                        self.recorded[key] >= watched.submitted,
                        "an execution from before the submission"
                    );
                }
                if let NodeEvent::Failed { failure } = &event
                    && let Failure::OutOfMemory { history } = &**failure
                {
                    let last = history.last().expect("at least one attempt");
                    assert_eq!(*last.reason, *format!("out of memory: {ALONE}"));
                }
                watched.nodes.insert(node.0, event);
            }
            BuildEvent::Finished(summary) => watched.summary = Some(*summary),
        }
    }

    /// Whether this blob is there, or was until it was lost after this time.
    pub fn kept(&self, digest: &Digest, since: u64) -> bool {
        let lost = self.lost.get(digest);
        self.store.contains(digest) || lost.is_some_and(|when| *when >= since)
    }

    /// How often the action of a key was run to its end.
    pub fn executions(&self) -> impl Iterator<Item = u32> + '_ {
        self.executions.values().copied()
    }
}

/// An element chosen by number; None of nothing.
fn pick<'a, T: 'a, C>(from: &'a C, which: usize) -> Option<&'a T>
where
    &'a C: IntoIterator<Item = &'a T>,
{
    let count = from.into_iter().count();
    from.into_iter().nth(which.checked_rem(count)?)
}
