//! The task that owns the core.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use gofarm_proto::{ActionKey, v1};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::EngineOptions;
use super::actions::{Actions, build_over, cut_short};
use super::carry::Outbox;
use super::message::Message;
use super::open_build::OpenBuild;
use super::opening::{Opening, now_ms};
use super::wants::Wants;
use super::whereabouts::Whereabouts;
use crate::custody::provenance;
use crate::metrics::MeteredStore;
use crate::registry::{Ownership, Registry};
use gofarm_engine::core::{BuildEvent, BuildId, Core, Effect, Event, Millis, Stragglers};
use gofarm_queue::{Clock, LeaseQueue, MonotonicClock, Owner};

/// How often ownership is renewed, and everything else is looked at that nobody rings for.
const TICK: Duration = Duration::from_secs(1);
/// How long a replica that goes away takes for its last words.
const LAST_WORDS: Duration = Duration::from_secs(3);

pub(super) struct Actor {
    pub options: EngineOptions,
    pub owner: Owner,
    pub queue: Arc<dyn LeaseQueue>,
    pub registry: Arc<dyn Registry>,
    pub store: MeteredStore,
    pub core: Core,
    clock: MonotonicClock,
    pub builds: HashMap<BuildId, OpenBuild>,
    /// Taken over and being read.
    pub adopting: HashMap<BuildId, Ownership>,
    /// Whatever waits for somebody else. Ends with this task.
    pub work: JoinSet<Message>,
    pub outbox: Outbox,
    pub wants: Wants,
    pub whereabouts: Whereabouts,
    pub stragglers: Stragglers,
    /// Cancellations of what another replica's build may be about to join; see [`Actor::lose`].
    pub delayed: VecDeque<(Instant, ActionKey, gofarm_engine::core::RunId)>,
    pub renewing: bool,
    /// Asked for while a round of renewing was under way.
    pub renew_again: bool,
    /// When the registry last failed or was slow.
    pub trouble: Option<Instant>,
    pub incarnation: Option<u64>,
    /// A call to the queue failed: it may have taken news that never came here.
    pub queue_failed: bool,
}

impl Actor {
    pub fn new(
        options: EngineOptions,
        queue: Arc<dyn LeaseQueue>,
        registry: Arc<dyn Registry>,
        store: MeteredStore,
    ) -> Actor {
        Actor {
            owner: options.replica.as_str().into(),
            core: Core::new(options.core),
            queue,
            registry,
            store,
            clock: MonotonicClock::new(),
            builds: HashMap::new(),
            adopting: HashMap::new(),
            work: JoinSet::new(),
            outbox: Outbox::default(),
            wants: Wants::default(),
            whereabouts: Whereabouts::new(),
            stragglers: Stragglers::new(options.stragglers),
            delayed: VecDeque::new(),
            renewing: false,
            renew_again: false,
            trouble: None,
            incarnation: None,
            queue_failed: false,
            options,
        }
    }

    pub async fn run(mut self, mut inbox: mpsc::Receiver<Message>, stop: CancellationToken) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.wait_for_news(Duration::ZERO);
        self.wait_for_control();
        self.look_at_queue(Duration::ZERO);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(message) = inbox.recv() => self.take(message),
                Some(done) = self.work.join_next() => match done {
                    Ok(message) => self.take(message),
                    // Without an answer this replica would own builds that nothing moves; another will take them.
                    Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                    Err(_) => {}
                },
                _ = tick.tick() => self.tick(),
            }
            self.send();
        }
        inbox.close();
        // What came in last is known to the registry and belongs to whoever takes it over.
        while let Ok(message) = inbox.try_recv() {
            if let Message::Open(opening) = message {
                let build = opening.build;
                self.adopting.insert(build.ownership.build, build.ownership);
            }
        }
        if timeout(LAST_WORDS, self.hand_over()).await.is_err() {
            tracing::warn!(
                "builds could not be handed over; they are taken over once their ownership has run out"
            );
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Open(opening) => self.open(*opening),
            Message::Adopted(build, opening) => {
                // Lost again while it was read, if it is not there.
                if let Some(ownership) = self.adopting.remove(&build)
                    && let Some(mut opening) = opening
                {
                    opening.build.ownership = ownership;
                    self.open(*opening);
                }
            }
            Message::News(news) => self.take_news(news),
            Message::Explained(news) => self.one(news),
            Message::QueueTold(at_once) => self.queue_told(at_once),
            Message::QueueSeen(seen) => self.queue_seen(seen),
            Message::Answers(answers) => self.take_answers(answers),
            Message::Recorded(keys) => self.outbox.recorded(&keys),
            Message::Flushed(flushed) => self.flushed(flushed),
            Message::Control => {
                self.wait_for_control();
                self.renew();
            }
            Message::Renewed(renewed) => self.renewed(*renewed),
            Message::Missing(missing, asked) => self.wants_answered(missing, &asked),
            Message::Measured => self.outbox.measured(),
            Message::Archived | Message::Kept => {}
            Message::TakenBack(results) => self.taken_back(results),
        }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        while let Some((due, key, run)) = self.delayed.front().copied()
            && due <= now
        {
            self.delayed.pop_front();
            self.outbox.cancel(key, run);
        }
        self.renew();
        self.look_for_wanted();
        self.back_up_stragglers();
        self.send_measurements();
        self.keep_in_use();
    }

    fn open(&mut self, opening: Opening) {
        let Opening { mut build, spec } = opening;
        let id = build.ownership.build;
        if let Some(open) = self.builds.get_mut(&id) {
            // Submitted again after the registry had lost it and before it was told again: what has happened counts.
            open.ownership = build.ownership;
            open.log.lose();
            return;
        }
        // What an earlier time of owning it left may be wanted again.
        while let Some((_, key, run)) = self.delayed.pop_front() {
            self.outbox.cancel(key, run);
        }
        if spec.is_none() && !build.is_over() {
            let finished = without_graph(&build.record);
            build.finish(&finished, now_ms());
            build_over(id, &build.record, &self.options);
            let event = v1::build_event::Event::Finished(finished);
            build.log.push(now_ms(), event);
        }
        if let Some(spec) = &spec {
            build.actions = Actions::new(spec.kinds());
        }
        tracing::info!(build = %id, epoch = build.ownership.epoch, resumed = build.log.confirmed() > 0, "build opened");
        self.builds.insert(id, build);
        if let Some(spec) = spec {
            self.step(Event::Submit(Box::new(spec)));
        }
    }

    /// Tells the core, and sees to what follows.
    pub fn step(&mut self, event: Event) {
        let effects = self.core.step(event, self.now());
        for effect in effects {
            match effect {
                Effect::Notify { build, event } => {
                    if let Some(open) = self.builds.get_mut(&build) {
                        if let Some(counts) = self.core.counts(build) {
                            open.record.counts =
                                Some(gofarm_engine::convert::counts_message(&counts));
                        }
                        if let BuildEvent::Node { node, event } = &event {
                            let task = self.core.task(build, *node);
                            open.actions.see(build, *node, event, task, &self.options);
                        }
                        if let BuildEvent::Finished(summary) = &event {
                            cut_short(summary, &self.options);
                        }
                        open.notify(event, now_ms());
                        if open.is_over() {
                            build_over(build, &open.record, &self.options);
                        }
                    }
                }
                Effect::Enqueue(mut task) => {
                    // Not again to the one that could not bring it to an end, and to whoever is idle if it is to be alone.
                    if task.attempt == 1 && !task.exclusive {
                        task.near = self.whereabouts.near(&task.produced, self.now());
                    }
                    self.outbox.put(Effect::Enqueue(task));
                }
                Effect::CancelTask { key, .. } => {
                    self.stragglers.ended(&key);
                    self.outbox.put(effect);
                }
                Effect::Record { key, result } => {
                    let made = match &result.made {
                        Some(made) => (**made).clone(),
                        None => provenance("", None, &self.owner),
                    };
                    self.outbox.record(key, result, made);
                }
                effect => self.outbox.put(effect),
            }
        }
    }

    pub fn now(&self) -> Millis {
        self.clock.now()
    }

    /// Starts whatever is to be sent and is not under way.
    fn send(&mut self) {
        self.ask_for_wanted();
        self.send_to_queue();
        self.send_lookups();
        self.send_records();
        self.flush();
    }

    async fn hand_over(&mut self) {
        self.work.abort_all();
        let mut held: Vec<Ownership> = self.adopting.drain().map(|(_, held)| held).collect();
        for build in self.builds.values_mut() {
            held.push(build.ownership.clone());
            if !build.log.is_lost() && (build.log.is_dirty() || build.is_over()) {
                let append = build.append_rest();
                if let Err(error) = self.registry.append(&append).await {
                    tracing::warn!(%error, "last events of a build are not written; its next owner finds out what they said");
                }
            }
        }
        if let Err(error) = self.registry.release(&held).await {
            tracing::warn!(%error, "builds are not handed over");
        }
    }
}

/// The end of a build whose graph nobody has.
fn without_graph(record: &v1::Build) -> v1::BuildFinished {
    let mut counts = record.counts.unwrap_or_default();
    let v1::Counts {
        total,
        executed,
        cached,
        joined,
        failed,
        skipped,
        ..
    } = counts;
    counts.cancelled = total.saturating_sub(executed + cached + joined + failed + skipped);
    v1::BuildFinished {
        result: v1::BuildResult::Failed.into(),
        counts: Some(counts),
        wall_ms: now_ms().saturating_sub(record.submitted_ms),
        ..v1::BuildFinished::default()
    }
}
