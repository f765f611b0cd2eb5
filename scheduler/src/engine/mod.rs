//! A replica's engine at work: a task that tells [`gofarm_engine::Engine`] what happens and carries out what it wants done.
//!
//! Everything that waits for somebody else runs beside that task and comes back as a message. Nothing is decided here but how often
//! and how fast to try again.

mod action_cache;
mod actions;
mod archiving;
mod keeping;
mod reading;
mod shell;
mod telling;
#[cfg(test)]
pub(crate) mod tests;
mod unplaceable;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gofarm_daemon::{Spans, vital};
use gofarm_engine::core::{BuildId, CoreOptions, StragglerOptions};
use gofarm_engine::{Books, EngineOptions, Fleet, Message, Opening};
use gofarm_proto::{ActionKey, Digest, v1};
use gofarm_queue::LeaseQueue;
use gofarm_store::GRACE;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) use self::action_cache::Recording;
use self::shell::Shell;
use super::metrics::{MeteredStore, Tasks};
use super::registry::{Registry, RegistryError};

/// How a replica works.
#[derive(Clone, Debug)]
pub struct ReplicaOptions {
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
    /// Who looks on.
    pub observers: Observers,
}

/// Who looks on while builds are made; by default nobody.
#[derive(Clone, Debug, Default)]
pub struct Observers {
    /// What counts how actions end.
    pub tasks: Tasks,
    /// Where spans of builds and actions go.
    pub spans: Spans,
}

impl ReplicaOptions {
    /// The usual bounds; counts and spans are for nobody.
    pub fn new(replica: impl Into<String>) -> ReplicaOptions {
        ReplicaOptions {
            replica: replica.into(),
            core: CoreOptions::default(),
            wanted_patience: Duration::from_secs(30),
            live_output: 2 << 20,
            stragglers: StragglerOptions::default(),
            archive_after: Duration::from_secs(60),
            archive_from: 16 << 10,
            observers: Observers::default(),
        }
    }

    fn engine(&self) -> EngineOptions {
        EngineOptions {
            owner: self.replica.as_str().into(),
            core: self.core,
            wanted_patience: self.wanted_patience,
            books: Some(Books {
                live_output: self.live_output,
                archive_after: self.archive_after,
                archive_from: self.archive_from,
                keep_every: GRACE / 6,
            }),
            fleet: Some(Fleet {
                stragglers: self.stragglers,
            }),
            maker: None,
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
    /// The registry has no room for another build.
    #[error("build not accepted: {0}")]
    Full(String),
}

impl From<RegistryError> for SubmitError {
    fn from(error: RegistryError) -> Self {
        match &error {
            RegistryError::Full { .. } => SubmitError::Full(error.to_string()),
            _ => SubmitError::Unavailable(error.to_string()),
        }
    }
}

/// The engine of a replica, for whoever has builds for it. Cheap to clone.
#[derive(Clone)]
pub struct EngineHandle {
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

impl EngineHandle {
    /// Starts to own builds. Needs a tokio runtime.
    pub fn start(
        options: ReplicaOptions,
        queue: Arc<dyn LeaseQueue>,
        registry: Arc<dyn Registry>,
        store: impl Into<MeteredStore>,
    ) -> EngineHandle {
        let store = store.into();
        let owner: Arc<str> = options.replica.as_str().into();
        let (messages, inbox) = mpsc::channel(64);
        let stop = CancellationToken::new();
        let shell = Shell::new(&options, queue, registry.clone(), store.clone());
        // Its state is what all builds of this replica stand on: after a panic it may contradict itself.
        let task = tokio::spawn(vital("the engine", shell.run(inbox, stop.clone())));
        EngineHandle {
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
        let record = reading::record(request).map_err(SubmitError::Invalid)?;
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
        let graph = reading::read_graph(store, &record).await?;
        let total = graph.nodes.len() as u32;
        let c_toolchains = unplaceable::toolchain_names(&graph);
        let spec = reading::spec(&**registry, id, &record, graph).await?;
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
        let opening = Opening {
            ownership: Some(ownership),
            record,
            spec,
            c_toolchains,
        };
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
