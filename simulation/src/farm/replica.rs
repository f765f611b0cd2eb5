//! A scheduler replica: a core, and what carries out its effects.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use gofarm_engine::core::{
    ActionResult, Core, CoreOptions, Effect, Event as CoreEvent, Millis, Outcome, RunId,
    StragglerOptions, Stragglers, Task,
};
use gofarm_proto::ActionKey;
use gofarm_queue::{News, Owner};

use super::wire::{Message, Order, Sender};
use super::{Event, Farm, brief, brief_all};
use crate::flaw::Flaw;
use crate::network::Host;

/// An order or a question for news that is not answered for so long is sent again, milliseconds.
const ANSWER_MS: u64 = 1_000;
/// Between questions for news, while any are expected.
const NEWS_MS: u64 = 50;
/// And while none are.
const IDLE_NEWS_MS: u64 = 1_000;
/// Between calls of the reaper.
const REAP_MS: u64 = 1_000;
/// Everything open is said again this often: the backstop for news that got lost on its way.
const SWEEP_MS: u64 = 10_000;
/// Between looks for stragglers.
const WATCH_MS: u64 = 1_000;
/// How long a store that cannot be reached is left alone.
const STORE_MS: u64 = 100;

/// One process, and the next one in its place.
pub(super) struct Replica {
    pub life: u32,
    pub up: bool,
    core: Core,
    /// What is in the queue, as it was last put there.
    tasks: BTreeMap<ActionKey, Task>,
    stragglers: Stragglers,
    /// For the queue, in order. The first is on its way when `ordered` is its call.
    orders: VecDeque<Order>,
    ordered: Option<u64>,
    /// For the store, in order: a result is recorded before the question that may find it.
    errands: VecDeque<Errand>,
    running_errand: bool,
    asking: u64,
    incarnation: Option<u64>,
    /// Runs whose end the core has accepted.
    ended: BTreeSet<RunId>,
}

enum Errand {
    LookUp(ActionKey, bool),
    Record(ActionKey, Arc<ActionResult>),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum ReplicaEvent {
    OrderTimeout(u64),
    AskNews(u64),
    Reap,
    Sweep,
    Watch,
    Errand,
}

/// What the queue knows a process by.
pub(super) fn owner(replica: usize, life: u32) -> Owner {
    format!("s{replica}.{life}").into()
}

impl Replica {
    pub fn new(_: usize) -> Replica {
        Replica {
            life: 0,
            up: false,
            core: Core::default(),
            tasks: BTreeMap::new(),
            stragglers: Stragglers::default(),
            orders: VecDeque::new(),
            ordered: None,
            errands: VecDeque::new(),
            running_errand: false,
            asking: 0,
            incarnation: None,
            ended: BTreeSet::new(),
        }
    }

    /// Open tasks and questions.
    pub fn open(&self) -> usize {
        self.core.open_tasks() + self.core.open_lookups()
    }

    /// Takes note of what runs.
    fn watch(&mut self, event: &CoreEvent, now: Millis) {
        match event {
            CoreEvent::TaskStarted { key, run, worker } => {
                let task = self.tasks.get(key).filter(|task| task.run == *run);
                if let Some(task) = task {
                    self.stragglers.started(task, worker, now);
                }
            }
            CoreEvent::TaskDone { key, .. } => {
                self.stragglers.ended(key);
                self.tasks.remove(key);
            }
            _ => {}
        }
    }

    pub fn is_idle(&self) -> bool {
        self.open() == 0 && self.orders.is_empty() && self.errands.is_empty()
    }
}

impl Farm {
    pub(super) fn start_replica(&mut self, at: usize) {
        let watched = StragglerOptions {
            slack: Duration::from_millis(self.weather.slack),
            ..StragglerOptions::default()
        };
        let replica = &mut self.replicas[at];
        *replica = Replica {
            life: replica.life + 1,
            up: true,
            core: Core::new(CoreOptions::default()),
            stragglers: Stragglers::new(watched),
            ..Replica::new(at)
        };
        self.ask_news(at);
        self.replica_after(at, REAP_MS, ReplicaEvent::Reap);
        self.replica_after(at, SWEEP_MS, ReplicaEvent::Sweep);
        if self.weather.recorded.is_some() {
            self.replica_after(at, WATCH_MS, ReplicaEvent::Watch);
        }
    }

    pub(super) fn crash_replica(&mut self, at: usize) {
        let replica = &mut self.replicas[at];
        *replica = Replica {
            life: replica.life,
            ..Replica::new(at)
        };
    }

    fn replica_after(&mut self, at: usize, delay: u64, event: ReplicaEvent) {
        let life = self.replicas[at].life;
        self.agenda.after(delay, Event::Replica(at, life, event));
    }

    pub(super) fn replica_event(&mut self, at: usize, life: u32, event: ReplicaEvent) {
        if !self.replicas[at].up || self.replicas[at].life != life {
            return;
        }
        match event {
            ReplicaEvent::OrderTimeout(id) => {
                if self.replicas[at].ordered == Some(id) {
                    self.replicas[at].ordered = None;
                    self.send_order(at);
                }
            }
            ReplicaEvent::AskNews(id) => {
                if self.replicas[at].asking == id {
                    self.ask_news(at);
                }
            }
            ReplicaEvent::Reap => {
                self.send(Host::Replica(at), Host::Queue, Message::Reap);
                self.replica_after(at, REAP_MS, ReplicaEvent::Reap);
            }
            ReplicaEvent::Sweep => {
                if self.run.flaw != Some(Flaw::LosesTasks)
                    && self.run.flaw != Some(Flaw::NoRepublish)
                {
                    self.republish(at);
                }
                self.replica_after(at, SWEEP_MS, ReplicaEvent::Sweep);
            }
            ReplicaEvent::Watch => {
                self.back_up_stragglers(at);
                self.replica_after(at, WATCH_MS, ReplicaEvent::Watch);
            }
            ReplicaEvent::Errand => self.run_errand(at),
        }
    }

    /// Gives the core an event and sets about what follows from it.
    pub(super) fn tell(&mut self, at: usize, event: CoreEvent) {
        let end = match &event {
            CoreEvent::TaskDone { run, .. } => Some(*run),
            _ => None,
        };
        let now = Millis(self.agenda.now());
        let replica = &mut self.replicas[at];
        replica.watch(&event, now);
        let stale = replica.core.ignored().stale_run;
        let effects = replica.core.step(event, now);
        if let Some(run) = end
            && replica.core.ignored().stale_run == stale
            && !replica.ended.insert(run)
        {
            self.violated(format!("replica {at} accepted two ends of run {run:?}"));
        }
        let mut tasks: Vec<Task> = Vec::new();
        for effect in effects {
            let replica = &mut self.replicas[at];
            match effect {
                Effect::LookUp { key, verify } => {
                    replica.errands.push_back(Errand::LookUp(key, verify));
                }
                Effect::Record { key, result } => {
                    replica.errands.push_back(Errand::Record(key, result));
                }
                Effect::Enqueue(task) => {
                    replica.tasks.insert(task.key, task.clone());
                    tasks.push(task);
                }
                Effect::CancelTask { key, run } => {
                    replica.stragglers.ended(&key);
                    if !tasks.is_empty() {
                        let tasks = std::mem::take(&mut tasks);
                        replica.orders.push_back(Order::Enqueue(tasks));
                    }
                    replica.orders.push_back(Order::Cancel(key, run));
                }
                Effect::Notify { build, event } => self.watch(build, event),
            }
        }
        if !tasks.is_empty() {
            self.replicas[at].orders.push_back(Order::Enqueue(tasks));
        }
        self.send_order(at);
        self.start_errand(at);
    }

    fn back_up_stragglers(&mut self, at: usize) {
        let now = Millis(self.agenda.now());
        let replica = &mut self.replicas[at];
        for straggler in replica.stragglers.overdue(now) {
            let order = Order::BackUp(straggler.key, straggler.run);
            replica.orders.push_back(order);
        }
        self.send_order(at);
    }

    fn send_order(&mut self, at: usize) {
        let replica = &self.replicas[at];
        if replica.ordered.is_some() {
            return;
        }
        let Some(order) = replica.orders.front().cloned() else {
            return;
        };
        let id = self.next_call();
        self.replicas[at].ordered = Some(id);
        let life = self.replicas[at].life;
        self.note(|| match &order {
            Order::Enqueue(tasks) => {
                let what = tasks.iter();
                let what: Vec<_> = what
                    .map(|t| format!("{} run {} ({})", brief(&t.key.0), t.run.0, t.label))
                    .collect();
                format!("s{at}: enqueue {what:?}")
            }
            Order::Cancel(key, run) => format!("s{at}: cancel {} run {}", brief(&key.0), run.0),
            Order::BackUp(key, run) => format!("s{at}: back up {} run {}", brief(&key.0), run.0),
        });
        let sender = Sender {
            replica: at,
            life,
            id,
        };
        let message = Message::OrderToQueue(sender, order);
        self.send(Host::Replica(at), Host::Queue, message);
        self.replica_after(at, ANSWER_MS, ReplicaEvent::OrderTimeout(id));
    }

    pub(super) fn acknowledged(&mut self, sender: Sender) {
        let replica = &mut self.replicas[sender.replica];
        if replica.up && replica.life == sender.life && replica.ordered == Some(sender.id) {
            replica.ordered = None;
            replica.orders.pop_front();
            self.send_order(sender.replica);
        }
    }

    fn ask_news(&mut self, at: usize) {
        let id = self.next_call();
        let replica = &mut self.replicas[at];
        replica.asking = id;
        let sender = Sender {
            replica: at,
            life: replica.life,
            id,
        };
        self.send(Host::Replica(at), Host::Queue, Message::AskNews(sender));
        self.replica_after(at, ANSWER_MS, ReplicaEvent::AskNews(id));
    }

    pub(super) fn hear(&mut self, sender: Sender, incarnation: u64, news: Vec<News>) {
        let at = sender.replica;
        let replica = &mut self.replicas[at];
        if !replica.up || replica.life != sender.life || replica.asking != sender.id {
            return;
        }
        let before = replica.incarnation.replace(incarnation);
        if before != Some(incarnation) && self.run.flaw != Some(Flaw::NoRepublish) {
            self.republish(at);
        }
        for news in news {
            self.note(|| format!("s{at}: hears {}", told(&news)));
            let Some(event) = self.provided(news).event() else {
                continue;
            };
            self.tell(at, event);
        }
        let id = self.next_call();
        self.replicas[at].asking = id;
        let wait = match self.replicas[at].core.open_tasks() {
            0 => IDLE_NEWS_MS,
            _ => NEWS_MS,
        };
        self.replica_after(at, wait, ReplicaEvent::AskNews(id));
    }

    /// Lost sources are asked for from the client, who has them.
    fn provided(&mut self, mut news: News) -> News {
        if let News::Done {
            outcome: outcome @ Outcome::BlobsMissing(_),
            ..
        } = &mut news
            && let Outcome::BlobsMissing(digests) = outcome
        {
            let mut others = digests.to_vec();
            let sources: BTreeSet<_> = self.shapes.iter().flat_map(|s| s.sources()).collect();
            others.retain(|digest| !sources.contains(digest));
            for digest in digests.iter().filter(|digest| sources.contains(*digest)) {
                self.store.put(*digest);
            }
            *outcome = match others.is_empty() {
                true => Outcome::Released,
                false => Outcome::BlobsMissing(others.into()),
            };
        }
        news
    }

    fn republish(&mut self, at: usize) {
        if self.replicas[at].open() > 0 {
            self.note(|| format!("s{at}: says everything again"));
            self.tell(at, CoreEvent::Republish);
        }
    }

    fn start_errand(&mut self, at: usize) {
        let replica = &mut self.replicas[at];
        if !replica.running_errand && !replica.errands.is_empty() {
            replica.running_errand = true;
            let delay = self.network.delay(&mut self.random);
            self.replica_after(at, delay, ReplicaEvent::Errand);
        }
    }

    fn run_errand(&mut self, at: usize) {
        if !self.network.reaches(Host::Replica(at), Host::Store) {
            return self.replica_after(at, STORE_MS, ReplicaEvent::Errand);
        }
        let replica = &mut self.replicas[at];
        replica.running_errand = false;
        match replica.errands.pop_front() {
            Some(Errand::LookUp(key, verify)) => {
                let result = self.store.action(&key, verify);
                self.note(|| {
                    let found = result.is_some();
                    format!("s{at}: looked up {}: {found}", brief(&key.0))
                });
                self.tell(
                    at,
                    CoreEvent::CacheAnswer {
                        key,
                        verify,
                        result,
                    },
                );
            }
            Some(Errand::Record(key, result)) => {
                let same = self.store.record(key, result);
                if !same {
                    self.violated(format!("two results are recorded for {key}"));
                }
            }
            None => {}
        }
        self.start_errand(at);
    }
}

fn told(news: &News) -> String {
    match news {
        News::Started { key, run, worker } => {
            format!("{} run {} started on {worker}", brief(&key.0), run.0)
        }
        News::Joined { key, run } => format!("{} run {} joined", brief(&key.0), run.0),
        News::Log { .. } => "output".to_owned(),
        News::Forgotten => "that it was forgotten".to_owned(),
        News::Done {
            key, run, outcome, ..
        } => {
            let how = match outcome {
                Outcome::Succeeded(_) => "succeeded".to_owned(),
                Outcome::BlobsMissing(digests) => format!("misses {:?}", brief_all(digests)),
                other => format!("{other:?}").chars().take(60).collect(),
            };
            format!("{} run {} over: {how}", brief(&key.0), run.0)
        }
    }
}
