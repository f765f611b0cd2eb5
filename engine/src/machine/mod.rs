//! The engine: all that a scheduler decides about its builds, as one state machine.
//!
//! [`Engine::take`] takes a [`Message`] and the time, and says what is to be done as [`Command`]s. It holds the [core](crate::core)
//! and what goes on around it: what is told to the queue and asked of the action cache, and in which portions; what waits for
//! lost sources; whose builds they are, what of them is written to a registry, what is written anew when that has lost it, and
//! what is taken over from whom. It knows no clock, no I/O, no randomness and no async runtime, and equal messages give equal
//! commands. So what a scheduler process runs, what the `gofarm` command runs without one, and what the simulation runs under
//! random faults is the same.
//!
//! Whoever carries out commands tries again what fails because Redis or the store is away, so that an outage is a delay. What the
//! core wants done again after the queue lost its data, it says itself ([`Event::Republish`]); what the registry lost, the log of
//! each open build has.
//!
//! Which task goes first is the queue's affair: it shares the farm's time between users and builds, and within a share the task goes
//! first that most work waits for. What the queue cannot know is said here: which worker has a task's inputs (`whereabouts.rs`), and
//! which running task takes far longer than it did before ([`Stragglers`]).

mod command;
mod delayed;
mod event_log;
mod for_queue;
mod inherited;
mod message;
mod news;
mod open_build;
mod opening;
mod options;
mod outbox;
mod sending;
mod steps;
mod tenure;
#[cfg(test)]
mod tests;
mod wants;
mod whereabouts;
mod writing;

pub use command::{Archive, Command, Question, Recording, ToQueue, Told, Unplaced, WaitedFor};
pub use message::{
    Answer, Away, GraphRead, Left, Message, Now, Opening, QueueSeen, WriteOutcome, Written,
};
pub use options::{Books, EngineOptions, Fleet};

use std::collections::BTreeMap;
use std::time::Duration;

use self::delayed::Delayed;
use self::open_build::OpenBuild;
use self::outbox::Outbox;
use self::tenure::RenewalRound;
use self::wants::Wants;
use self::whereabouts::Whereabouts;
use crate::core::{BuildId, Core, Event, Ignored, Millis, Stragglers};
use crate::registry::Ownership;

/// How often an engine is told the time: ownership is renewed, and everything else is looked at that nobody rings for.
pub const TICK: Duration = Duration::from_secs(1);

/// See the module's page.
#[derive(Debug)]
pub struct Engine {
    options: EngineOptions,
    core: Core,
    now: Now,
    /// Ordered, so that equal messages give equal commands.
    builds: BTreeMap<BuildId, OpenBuild>,
    /// Taken over; what an earlier owner left of them is being read.
    adopting: BTreeMap<BuildId, Ownership>,
    outbox: Outbox,
    wants: Wants,
    whereabouts: Whereabouts,
    stragglers: Stragglers,
    delayed: Delayed,
    /// A round of renewing that is under way.
    renewal: Option<RenewalRound>,
    /// Asked for while a round was under way.
    renew_again: bool,
    /// When the registry last failed or was slow.
    trouble: Option<Millis>,
    incarnation: Option<u64>,
    /// A call to the queue failed: it may have taken news that never came here.
    queue_failed: bool,
    stopped: bool,
    /// What the message under way has led to.
    commands: Vec<Command>,
}

impl Engine {
    /// An engine without builds.
    pub fn new(options: EngineOptions) -> Engine {
        let stragglers = options.fleet.map(|fleet| fleet.stragglers);
        Engine {
            core: Core::new(options.core),
            now: Now::default(),
            builds: BTreeMap::new(),
            adopting: BTreeMap::new(),
            outbox: Outbox::default(),
            wants: Wants::default(),
            whereabouts: Whereabouts::new(),
            stragglers: Stragglers::new(stragglers.unwrap_or_default()),
            delayed: Delayed::default(),
            renewal: None,
            renew_again: false,
            trouble: None,
            incarnation: None,
            queue_failed: false,
            stopped: false,
            commands: Vec::new(),
            options,
        }
    }

    /// Takes in a message and says what is to be done.
    pub fn take(&mut self, message: Message, now: Now) -> Vec<Command> {
        self.now = now;
        if !self.stopped {
            self.see_to(message);
        }
        if !self.stopped {
            self.send();
        }
        std::mem::take(&mut self.commands)
    }

    fn see_to(&mut self, message: Message) {
        match message {
            Message::Start => self.start(),
            Message::Tick => self.tick(),
            Message::Open(opening) => self.open(*opening),
            Message::Cancel(build) => self.step(Event::Cancel(build)),
            Message::Provided(build, provided) => self.provided(build, &provided),
            Message::TakenBack(results) => self.taken_back(results),
            Message::Stop { late } => self.stop(late),
            Message::News(news) => self.take_news(news),
            Message::Explained(news) => self.one(news),
            Message::QueueTold { at_once, refused } => {
                self.queue_told(at_once);
                refused.into_iter().for_each(|news| self.one(news));
            }
            Message::QueueSeen(seen) => self.queue_seen(seen),
            Message::Answers(answers) => self.take_answers(answers),
            Message::Recorded(keys) => self.outbox.recorded(&keys),
            Message::Missing { asked, missing } => self.wants_answered(missing, &asked),
            Message::Control => {
                self.commands.push(Command::ListenToRegistry);
                self.renew();
            }
            Message::Renewed(tenures) => self.renewed(tenures),
            Message::Taken(taken) => self.taken(taken),
            Message::BuildRead(ownership, left) => self.build_read(&ownership, left),
            Message::GraphRead(build, graph) => self.graph_read(build, graph),
            Message::Written(written) => self.written(written),
            Message::Measured => self.outbox.measured(),
        }
    }

    fn start(&mut self) {
        self.listen_to_queue(Duration::ZERO);
        self.look_at_queue(Duration::ZERO);
        if self.has_registry() {
            self.commands.push(Command::ListenToRegistry);
        }
    }

    fn tick(&mut self) {
        while let Some((key, run)) = self.delayed.due(self.now.at) {
            self.outbox.cancel(key, run);
        }
        self.outbox.record_expected(self.now.at);
        self.renew();
        self.look_for_wanted();
        self.back_up_stragglers();
        self.send_measurements();
        self.keep_in_use();
    }

    /// Whether there is a registry that all of this is written to.
    fn has_registry(&self) -> bool {
        self.options.books.is_some()
    }

    /// Starts whatever is to be sent and is not under way.
    fn send(&mut self) {
        self.ask_for_wanted();
        self.send_to_queue();
        self.send_lookups();
        self.send_records();
        self.write();
    }

    /// Events that the core has had no use for so far.
    pub fn ignored(&self) -> Ignored {
        self.core.ignored()
    }

    /// Tasks and questions that wait for an answer, and what waits to be told.
    pub fn open_work(&self) -> usize {
        self.core.open_tasks()
            + self.core.open_lookups()
            + self.outbox.waiting()
            + self.delayed.len()
    }

    /// What breaks a bound that this engine keeps after every message; none, unless it is wrong. For whoever checks it.
    pub fn excess(&self) -> Option<String> {
        self.outbox.excess(self.core.open_tasks())
    }

    /// Builds that are not over, or whose end is not written yet.
    pub fn open_builds(&self) -> impl Iterator<Item = BuildId> + '_ {
        let adopting = self.adopting.keys();
        self.builds.keys().chain(adopting).copied()
    }
}
