//! The task that has a replica's engine: tells it what happens, and carries out what it wants done.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use gofarm_engine::core::{BuildEvent, BuildId, News, Outcome, Owner};
use gofarm_engine::registry::{Append, Measurement, Ownership, Restore};
use gofarm_engine::{
    Answer, Away, Command, Engine, Message, Now, Question, QueueSeen, TICK, Told, Unplaced,
    WriteOutcome, Written,
};
use gofarm_queue::{Clock, LeaseQueue, MonotonicClock, QueueError};
use gofarm_timing::now_ms;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::action_cache::{STORE_AT_ONCE, look_up, record_missing};
use super::actions::{Actions, build_over, cut_short};
use super::archiving::archive;
use super::keeping::keep;
use super::telling::tell_queue;
use super::unplaceable::explained;
use super::{Observers, ReplicaOptions, reading};
use crate::metrics::MeteredStore;
use crate::registry::Registry;
use crate::retry::Retry;

/// How long a replica that goes away takes for its last words.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// News taken at once.
const NEWS: usize = 512;
/// How long one question for news waits.
const WAIT: Duration = Duration::from_secs(10);
/// One wait for the doorbell of owners.
const CONTROL: Duration = Duration::from_secs(60);
/// Leases and hopeless tasks ended in one round of reaping.
const REAP: usize = 256;
/// How long a result is waited for that is being recorded by another replica, or by this one for a worker.
const COMING: Duration = Duration::from_secs(1);
/// Builds whose events are written at a time.
const WRITE_AT_ONCE: usize = 32;
/// Before the next try of writing events.
const WRITE_PAUSE: Duration = Duration::from_millis(250);
/// Durations that cannot be recorded for so long are not.
const HISTORY_PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Shell {
    engine: Engine,
    owner: Owner,
    queue: Arc<dyn LeaseQueue>,
    registry: Arc<dyn Registry>,
    store: MeteredStore,
    observers: Observers,
    actions: HashMap<BuildId, Actions>,
    clock: MonotonicClock,
    /// Whatever waits for somebody else. Ends with this task.
    work: JoinSet<Option<Message>>,
}

impl Shell {
    pub fn new(
        options: &ReplicaOptions,
        queue: Arc<dyn LeaseQueue>,
        registry: Arc<dyn Registry>,
        store: MeteredStore,
    ) -> Shell {
        let engine = options.engine();
        Shell {
            owner: engine.owner.clone(),
            engine: Engine::new(engine),
            queue,
            registry,
            store,
            observers: options.observers.clone(),
            actions: HashMap::new(),
            clock: MonotonicClock::new(),
            work: JoinSet::new(),
        }
    }

    pub async fn run(mut self, mut inbox: mpsc::Receiver<Message>, stop: CancellationToken) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.take(Message::Start);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(message) = inbox.recv() => self.take(message),
                Some(done) = self.work.join_next() => match done {
                    Ok(Some(message)) => self.take(message),
                    Ok(None) => {}
                    // Without an answer this replica would own builds that nothing moves; another will take them.
                    Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                    Err(_) => {}
                },
                _ = tick.tick() => self.take(Message::Tick),
            }
        }
        inbox.close();
        // What came in last is known to the registry and belongs to whoever takes it over.
        let mut late = Vec::new();
        while let Ok(message) = inbox.try_recv() {
            if let Message::Open(opening) = message {
                late.extend(opening.ownership);
            }
        }
        self.work.abort_all();
        for command in self.engine.take(Message::Stop { late }, self.now()) {
            if let Command::HandOver {
                appends,
                held,
                records,
            } = command
            {
                let handed_over = hand_over(&*self.registry, appends, held);
                let recorded = record_missing(&self.store, records);
                let handed_over = timeout(LAST_WORDS, handed_over);
                let recorded = timeout(LAST_WORDS, recorded);
                let (handed_over, recorded) = tokio::join!(handed_over, recorded);
                if recorded.is_err() {
                    tracing::warn!(
                        "results that were made last may not be recorded; then their actions run again"
                    );
                }
                if handed_over.is_err() {
                    tracing::warn!(
                        "builds could not be handed over; they are taken over once their ownership has run out"
                    );
                }
            }
        }
    }

    fn now(&self) -> Now {
        Now {
            at: self.clock.now(),
            wall_ms: now_ms(),
        }
    }

    fn take(&mut self, message: Message) {
        for command in self.engine.take(message, self.now()) {
            match command {
                Command::Tell(told) => self.tell(*told),
                command => self.carry_out(command),
            }
        }
    }

    /// Begins to do what takes time.
    fn carry_out(&mut self, command: Command) {
        let (queue, owner) = (self.queue.clone(), self.owner.clone());
        let (registry, store) = (self.registry.clone(), self.store.clone());
        self.work.spawn(async move {
            Some(match command {
                Command::TellQueue(said) => tell_queue(&*queue, &owner, said).await,
                Command::ListenToQueue { pause } => {
                    sleep(pause).await;
                    let news = queue.news(&owner, NEWS, WAIT).await;
                    Message::News(news.map_err(|error| {
                        tracing::debug!(%error, "no news from the lease queue");
                        Away
                    }))
                }
                Command::LookAtQueue { pause } => {
                    sleep(pause).await;
                    let seen = look_at(&*queue).await;
                    Message::QueueSeen(seen.map_err(|error| {
                        tracing::debug!(%error, "lease queue does not answer");
                        Away
                    }))
                }
                Command::Explain(unplaced) => {
                    Message::Explained(explain(&*registry, *unplaced).await)
                }
                Command::LookUp(asked) => Message::Answers(answers(&store, asked).await),
                Command::FindMissing(asked) => {
                    let missing = store.missing(asked.clone()).await;
                    let missing = missing.map_err(|error| {
                        tracing::warn!(%error, "store cannot say whether wanted blobs have come");
                        Away
                    });
                    Message::Missing { asked, missing }
                }
                Command::KeepInUse {
                    build,
                    graph,
                    results,
                    logs,
                } => {
                    if let Err(error) = keep(&store, graph, results, logs).await {
                        tracing::warn!(%build, %error, "what a build needs may be collected, since it cannot be marked as in use now");
                    }
                    return None;
                }
                Command::ListenToRegistry => {
                    registry.control(CONTROL).await;
                    Message::Control
                }
                Command::Renew(held) => {
                    let tenures = registry.renew(&held).await;
                    Message::Renewed(tenures.map_err(|error| {
                        tracing::warn!(%error, "ownership of builds is not renewed; trying again");
                        Away
                    }))
                }
                Command::TakeOver { most } => {
                    let taken = registry.take_over(&owner, most).await;
                    Message::Taken(taken.map_err(|error| {
                        tracing::warn!(%error, "builds without an owner cannot be taken over; trying again");
                        Away
                    }))
                }
                Command::ReadBuild(ownership) => {
                    let left = reading::left(&*registry, ownership.build).await;
                    Message::BuildRead(ownership, left)
                }
                Command::ReadGraph {
                    build,
                    record,
                    pause,
                } => {
                    sleep(pause).await;
                    let graph = reading::graph(&*registry, &store, build, &record).await;
                    Message::GraphRead(build, graph)
                }
                Command::Write { restores, appends } => {
                    Message::Written(write(registry, restores, appends).await)
                }
                Command::Measure(measurements) => {
                    measure(&*registry, measurements).await;
                    Message::Measured
                }
                Command::Archive(archived) => {
                    let id = archived.ownership.build;
                    if let Err(error) = archive(*archived, registry, store).await {
                        tracing::warn!(build = %id, "events of a build stay in the registry: {error:#}");
                    }
                    return None;
                }
                Command::Record(recordings) => {
                    let keys = recordings.iter().map(|recording| recording.key).collect();
                    record_missing(&store, recordings).await;
                    Message::Recorded(keys)
                }
                // Said at the end only; at once; or not for a farm, where registries are asked.
                Command::HandOver { .. } | Command::Tell(_) | Command::Want { .. } => return None,
            })
        });
    }

    /// Passes on what is for those who look on.
    fn tell(&mut self, told: Told) {
        match told {
            Told::Opened { build, kinds } => {
                self.actions.insert(build, Actions::new(kinds));
            }
            Told::Event { build, event, task } => match event {
                BuildEvent::Node { node, event } => {
                    if let Some(actions) = self.actions.get_mut(&build) {
                        actions.see(build, node, &event, task.as_ref(), &self.observers);
                    }
                }
                BuildEvent::Finished(summary) => cut_short(&summary, &self.observers),
                BuildEvent::Accepted { .. } => {}
            },
            Told::Over { build, record } => {
                self.actions.remove(&build);
                build_over(build, &record, &self.observers);
            }
            Told::LetGo(build) => {
                self.actions.remove(&build);
            }
        }
    }
}

/// Ends what has run out, and sees whether the queue still has its data.
async fn look_at(queue: &dyn LeaseQueue) -> Result<QueueSeen, QueueError> {
    let reaped = queue.reap(REAP).await?;
    Ok(QueueSeen {
        incarnation: queue.incarnation().await?,
        next: reaped.next,
    })
}

/// The end of a task that no worker could take, with the reason in words. Where the workers cannot be asked about, the queue's own.
async fn explain(registry: &dyn Registry, unplaced: Unplaced) -> News {
    let Unplaced {
        key,
        run,
        worker,
        reason,
        part,
        c_toolchains,
    } = unplaced;
    let reason = match (part, registry.workers().await) {
        (Some(part), Ok(workers)) => explained(&reason, &part, &c_toolchains, &workers).into(),
        _ => reason,
    };
    News::Done {
        key,
        run,
        worker,
        // Nobody has held it.
        lease: None,
        outcome: Outcome::Unplaceable { reason },
    }
}

async fn answers(store: &MeteredStore, asked: Vec<Question>) -> Vec<Answer> {
    let answers = stream::iter(asked).map(|question| async move {
        let Question {
            key,
            verify,
            known,
            coming,
        } = question;
        let mut result = look_up(store, key, verify, known).await;
        let begin = Instant::now();
        while coming && result.is_none() && begin.elapsed() < COMING {
            sleep(COMING / 20).await;
            result = look_up(store, key, verify, None).await;
        }
        Answer {
            key,
            verify,
            result,
        }
    });
    answers.buffer_unordered(STORE_AT_ONCE).collect().await
}

async fn write(
    registry: Arc<dyn Registry>,
    restores: Vec<Restore>,
    appends: Vec<Append>,
) -> Vec<Written> {
    let mut written = Vec::with_capacity(appends.len() + restores.len());
    let mut failed = false;
    for restore in restores {
        let restored = registry.restore(&restore).await;
        failed |= restored.is_err();
        written.push(Written {
            ownership: restore.ownership,
            outcome: WriteOutcome::Restored(restored.map_err(|error| {
                tracing::debug!(%error, "a build is not written again yet");
                Away
            })),
        });
    }
    let appends = stream::iter(appends).map(|append| {
        let registry = registry.clone();
        async move {
            let appended = registry.append(&append).await;
            Written {
                outcome: WriteOutcome::Events {
                    up_to: append.up_to(),
                    dropped: append.dropped.len(),
                    over: append.record.finished_ms != 0,
                    appended: appended.map_err(|error| {
                        tracing::debug!(%error, "events of a build are not written yet");
                        Away
                    }),
                },
                ownership: append.ownership,
            }
        }
    });
    let appended: Vec<Written> = appends.buffer_unordered(WRITE_AT_ONCE).collect().await;
    failed |= appended.iter().any(|written| {
        let WriteOutcome::Events { appended, .. } = &written.outcome else {
            return false;
        };
        appended.is_err()
    });
    written.extend(appended);
    if failed {
        sleep(WRITE_PAUSE).await;
    }
    written
}

async fn measure(registry: &dyn Registry, measurements: Vec<(Arc<str>, Vec<Measurement>)>) {
    for (pool, measurements) in measurements {
        let mut retry = Retry::within("recording durations", HISTORY_PATIENCE);
        while let Err(error) = registry.measured(&pool, &measurements).await {
            if !retry.again(&error).await {
                break;
            }
        }
    }
}

async fn hand_over(registry: &dyn Registry, appends: Vec<Append>, held: Vec<Ownership>) {
    for append in appends {
        if let Err(error) = registry.append(&append).await {
            tracing::warn!(%error, "last events of a build are not written; its next owner finds out what they said");
        }
    }
    if let Err(error) = registry.release(&held).await {
        tracing::warn!(%error, "builds are not handed over");
    }
}
