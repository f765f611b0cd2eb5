//! Carries out what the scheduler core decides, for all builds of this replica.
//!
//! One task owns the core; everything that waits for somebody else runs beside it and comes back as a message. Whatever
//! fails because Redis or the store is away is tried again until it succeeds, so that an outage is a delay. What the
//! core wants done again after the queue lost its data, it says itself ([`gofarm_engine::core::Event::Republish`]); what the
//! registry lost, the owner's log of each open build has.
//!
//! Which task goes first is the queue's affair: it shares the farm's time between users and builds, and within a share
//! the task goes first that most work waits for. What the queue cannot know is said here: which worker has a task's inputs
//! (`whereabouts.rs`), and which running task takes far longer than it did before ([`gofarm_engine::core::Stragglers`]).

mod action_cache;
mod actions;
mod actor;
mod archiving;
mod carry;
mod event_log;
mod keeping;
mod message;
mod news;
mod open_build;
mod opening;
mod persist;
mod resume;
mod tenure;
#[cfg(test)]
pub(crate) mod tests;
mod unplaceable;
mod wants;
mod whereabouts;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gofarm_daemon::Spans;
use gofarm_proto::{ActionKey, Digest, v1};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::actor::Actor;
use self::message::Message;
use self::opening::Opening;
use super::metrics::{MeteredStore, Tasks};
use super::registry::{Registry, RegistryError};
use gofarm_engine::core::{BuildId, CoreOptions, StragglerOptions};
use gofarm_queue::LeaseQueue;

/// How an engine works.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Name of this replica: unique, another one after each start of the process.
    pub replica: String,
    /// Bounds on trying again.
    pub core: CoreOptions,
    /// How long a build waits for lost sources while none of them comes.
    pub wanted_patience: Duration,
    /// Bytes of what running actions print that a build's log keeps; beyond that the oldest go. The whole output of an
    /// action is in its result.
    pub live_output: usize,
    /// Which running tasks get a second worker, if one has nothing else to do.
    pub stragglers: StragglerOptions,
    /// How long the events of a build that is over stay in the registry.
    pub archive_after: Duration,
    /// Fewer bytes of events stay there until the build is forgotten: a blob for each would be no gain.
    pub archive_from: usize,
    /// What counts how actions end.
    pub tasks: Tasks,
    /// Where spans of builds and actions go.
    pub spans: Spans,
}

impl EngineOptions {
    /// The usual bounds; counts and spans are for nobody.
    pub fn new(replica: impl Into<String>) -> EngineOptions {
        EngineOptions {
            replica: replica.into(),
            core: CoreOptions::default(),
            wanted_patience: Duration::from_secs(30),
            live_output: 2 << 20,
            stragglers: StragglerOptions::default(),
            tasks: Tasks::default(),
            spans: Spans::off(),
            archive_after: Duration::from_secs(60),
            archive_from: 16 << 10,
        }
    }
}

/// Why a build was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The request or its graph is not one.
    #[error("{0}")]
    Invalid(String),
    /// The store lacks the graph.
    #[error("graph {0} is not in the store; upload it before the build is submitted")]
    NoGraph(Digest),
    /// Something is away. The call may be repeated.
    #[error("build not accepted: {0}; try again")]
    Unavailable(String),
}

impl From<RegistryError> for SubmitError {
    fn from(error: RegistryError) -> Self {
        SubmitError::Unavailable(error.to_string())
    }
}

/// The engine of a replica. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    owner: Arc<str>,
    registry: Arc<dyn Registry>,
    store: MeteredStore,
    messages: mpsc::Sender<Message>,
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Engine {
    /// Starts to own builds. Needs a tokio runtime.
    pub fn start(
        options: EngineOptions,
        queue: Arc<dyn LeaseQueue>,
        registry: Arc<dyn Registry>,
        store: impl Into<MeteredStore>,
    ) -> Engine {
        let store = store.into();
        let owner: Arc<str> = options.replica.as_str().into();
        let (messages, inbox) = mpsc::channel(64);
        let stop = CancellationToken::new();
        let actor = Actor::new(options, queue, registry.clone(), store.clone());
        let task = tokio::spawn(actor.run(inbox, stop.clone()));
        Engine {
            shared: Arc::new(Shared {
                owner,
                registry,
                store,
                messages,
                stop,
                task: Mutex::new(Some(task)),
            }),
        }
    }

    /// Takes a build in. False when it is known already, here or to another replica.
    pub async fn submit(&self, request: v1::SubmitRequest) -> Result<bool, SubmitError> {
        if self.shared.stop.is_cancelled() {
            return Err(going_away());
        }
        let Shared {
            owner,
            registry,
            store,
            messages,
            ..
        } = &*self.shared;
        let record = opening::record(request).map_err(SubmitError::Invalid)?;
        let id: BuildId =
            record
                .build
                .parse()
                .map_err(|error: gofarm_engine::core::ParseBuildIdError| {
                    SubmitError::Invalid(error.to_string())
                })?;
        if registry.get(id).await?.is_some() {
            return Ok(false);
        }
        let graph = opening::read_graph(store, &record).await?;
        let total = graph.nodes.len() as u32;
        let c_toolchains = unplaceable::toolchain_names(&graph);
        let spec = opening::spec(&**registry, id, &record, graph).await?;
        let counts = v1::Counts {
            total,
            ..v1::Counts::default()
        };
        let record = v1::Build {
            counts: Some(counts),
            ..record
        };
        let Some(ownership) = registry.submit(owner, &record).await? else {
            return Ok(false);
        };
        let opening = Opening::new(ownership, record, spec, c_toolchains);
        let message = Message::Open(Box::new(opening));
        // Should this process end here, the build is known, and another replica takes it over.
        messages.send(message).await.map_err(|_| going_away())?;
        Ok(true)
    }

    /// Has builds under way make again what was taken back: keys, and the blobs of the results. One that was made again
    /// meanwhile by somebody else is made once more, which only costs time.
    pub async fn taken_back(&self, results: Vec<(ActionKey, Vec<Digest>)>) {
        // A replica that goes away has no builds any more; their next owner asks the action cache.
        let _ = self.shared.messages.send(Message::TakenBack(results)).await;
    }

    /// What this engine shares with other replicas.
    pub fn registry(&self) -> &Arc<dyn Registry> {
        &self.shared.registry
    }

    /// Where its blobs are.
    pub fn store(&self) -> &MeteredStore {
        &self.shared.store
    }

    /// Hands all builds over: another replica goes on with them at once. What runs goes on running.
    pub async fn shutdown(&self) {
        self.shared.stop.cancel();
        let task = self.task();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the engine ended badly; its builds are taken over once their ownership has run out");
        }
    }

    /// Ends as a killed process does: without a word to anyone.
    #[cfg(test)]
    fn kill(&self) {
        if let Some(task) = self.task() {
            task.abort();
        }
    }

    fn task(&self) -> Option<JoinHandle<()>> {
        let task = self.shared.task.lock();
        task.unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn going_away() -> SubmitError {
    SubmitError::Unavailable("this replica is going away".to_owned())
}
