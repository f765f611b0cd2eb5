//! A farm in one process: a store in a folder, a queue, a registry, engines, and workers that do real small work.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gofarm_proto::{ActionKey, Digest, Message, v1};
use gofarm_store::{DiskStore, DiskStoreOptions, FarmStore};
use gofarm_timing::now_ms;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::blobs::Presence;
use crate::engine::{EngineHandle, ReplicaOptions};
use crate::metrics::{MeteredQueue, Metrics};
use crate::registry::Registry;
use gofarm_engine::core::{ActionResult, BuildId, Log, Outcome, OutputFile};
use gofarm_engine::provenance;
use gofarm_queue::{
    InProcessQueue, Lease, LeaseQueue, LeaseRequest, MonotonicClock, QueueError, QueueOptions,
    Renewal, TaskOutput,
};

pub(crate) const LONG: Duration = Duration::from_secs(30);

/// What the engines share.
pub(crate) struct World {
    pub store: FarmStore,
    pub queue: Arc<InProcessQueue>,
    /// How often each label was executed.
    pub executed: Arc<Mutex<HashMap<String, u32>>>,
    /// Actions with a label that has `hold` in it wait until this is true.
    pub gate: watch::Sender<bool>,
    worker: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl World {
    pub fn start() -> World {
        let folder = tempfile::tempdir().unwrap();
        let local = DiskStore::open(folder.path(), DiskStoreOptions::default()).unwrap();
        let store = FarmStore::on_disk(local);
        let queue = Arc::new(InProcessQueue::new(
            QueueOptions::default(),
            Arc::new(MonotonicClock::new()),
            Arc::new(Presence::new(store.clone())),
        ));
        let executed = Arc::new(Mutex::new(HashMap::new()));
        let (gate, opened) = watch::channel(false);
        let worker = Worker {
            store: store.clone(),
            queue: queue.clone(),
            executed: executed.clone(),
            opened,
        };
        let worker = tokio::spawn(worker.work());
        World {
            store,
            queue,
            executed,
            gate,
            worker,
            _folder: folder,
        }
    }

    /// Nobody takes tasks but who asks for them.
    pub fn without_workers() -> World {
        let world = World::start();
        world.worker.abort();
        world
    }

    pub fn engine(&self, replica: &str, registry: &Arc<dyn Registry>) -> EngineHandle {
        self.engine_with(ReplicaOptions::new(replica), registry)
    }

    pub fn engine_with(
        &self,
        options: ReplicaOptions,
        registry: &Arc<dyn Registry>,
    ) -> EngineHandle {
        let options = ReplicaOptions {
            wanted_patience: Duration::from_secs(3),
            ..options
        };
        EngineHandle::start(
            options,
            self.queue.clone(),
            registry.clone(),
            self.store.clone(),
        )
    }

    /// One whose calls of the queue are counted.
    pub fn counted_engine(
        &self,
        replica: &str,
        registry: &Arc<dyn Registry>,
        metrics: &Arc<Metrics>,
    ) -> EngineHandle {
        let queue = MeteredQueue::new(self.queue.clone(), metrics.clone());
        EngineHandle::start(
            ReplicaOptions::new(replica),
            Arc::new(queue),
            registry.clone(),
            self.store.clone(),
        )
    }

    /// A request for a chain of actions, each reading the one before; the last one is wanted. Definitions and graph are
    /// in the store, but for those labelled `lost`.
    pub async fn chain(&self, build: u128, labels: &[&str]) -> v1::SubmitRequest {
        let mut nodes = Vec::new();
        for (index, label) in labels.iter().enumerate() {
            let action = action(label);
            if !label.starts_with("lost") {
                self.store.put_bytes(action.clone()).await.unwrap();
            }
            let before = index.checked_sub(1).map(|node| v1::Edge {
                node: node as u32,
                output: "out".to_owned(),
            });
            nodes.push(v1::Node {
                action: Some(Digest::of(&action).into()),
                label: label.to_string(),
                kind: v1::Kind::Compile.into(),
                package: label.to_string(),
                inputs: before.into_iter().collect(),
                requested: index + 1 == labels.len(),
                ..v1::Node::default()
            });
        }
        let graph = v1::Graph { nodes }.encode_to_vec();
        let graph = self.store.put_bytes(graph).await.unwrap();
        v1::SubmitRequest {
            build: BuildId(build).to_string(),
            graph: Some(graph.into()),
            options: None,
        }
    }

    pub fn executions(&self, label: &str) -> u32 {
        let executed = self.executed.lock().unwrap();
        executed.get(label).copied().unwrap_or_default()
    }

    pub async fn until_executing(&self, label: &str) {
        until(|| async { self.executions(label) > 0 }).await;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.worker.abort();
    }
}

/// The definition of the action with this label.
pub(crate) fn action(label: &str) -> Vec<u8> {
    let action = v1::Action {
        label: label.to_owned(),
        ..v1::Action::default()
    };
    action.encode_to_vec()
}

/// Ends a lease, and records a success, as the service does that a worker tells.
pub(crate) async fn complete(
    queue: &InProcessQueue,
    store: &FarmStore,
    lease: &Lease,
    outcome: Outcome,
) -> Result<(), QueueError> {
    let result = match &outcome {
        Outcome::Succeeded(result) => Some(v1::ActionResult::from(&**result)),
        _ => None,
    };
    let worker = queue.complete(&lease.id, outcome).await?;
    if let Some(result) = result {
        let made = provenance(&worker, Some(lease.id.token), "replica", now_ms());
        let recorded = store.record_action(lease.task.key, result, made);
        recorded.await.unwrap();
    }
    Ok(())
}

/// Waits until it is so.
pub(crate) async fn until<F: Future<Output = bool>>(mut so: impl FnMut() -> F) {
    let wait = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LONG, wait)
        .await
        .expect("it takes too long");
}

/// All events of a build after a cursor, once it is over.
pub(crate) async fn to_the_end(
    registry: &dyn Registry,
    build: u128,
    mut after: u64,
) -> Vec<v1::BuildEvent> {
    let mut events: Vec<v1::BuildEvent> = Vec::new();
    let read = async {
        loop {
            let wait = Duration::from_secs(1);
            let found = registry.events(BuildId(build), after, 100, wait).await;
            // After a loss the build is not known for a while; while Redis is away nothing is.
            for bytes in found.ok().flatten().unwrap_or_default() {
                let event = v1::BuildEvent::decode(bytes).unwrap();
                // The next owner begins with a number that nobody can have given.
                assert!(event.cursor > after);
                after = event.cursor;
                events.push(event);
            }
            let last = events.last().and_then(|event| event.event.as_ref());
            if matches!(last, Some(v1::build_event::Event::Finished(_))) {
                return;
            }
        }
    };
    let ended = tokio::time::timeout(LONG, read).await;
    assert!(ended.is_ok(), "build does not end: {events:?}");
    events
}

/// An event in a few words.
pub(crate) fn word(event: &v1::BuildEvent) -> String {
    use v1::build_event::Event;
    use v1::node_event::Event as Node;
    match event.event.as_ref().unwrap() {
        Event::Accepted(accepted) => format!("accepted {}", accepted.total),
        Event::Node(node) => {
            let what = match node.event.as_ref().unwrap() {
                Node::Queued(_) => "queued".to_owned(),
                Node::Started(_) => "started".to_owned(),
                Node::Finished(finished) => format!("{:?}", finished.resolution()).to_lowercase(),
                Node::Failed(failure) => match failure.reason.as_ref().unwrap() {
                    v1::failure::Reason::MissingBlob(digest) => {
                        format!("lacks {}", Digest::try_from(digest).unwrap())
                    }
                    reason => format!("failed {reason:?}"),
                },
                Node::Skipped(_) => "skipped".to_owned(),
                Node::Cancelled(_) => "cancelled".to_owned(),
                Node::Reopened(_) => "reopened".to_owned(),
                Node::Nondeterministic(_) => "nondeterministic".to_owned(),
            };
            format!("{} {what}", node.node)
        }
        Event::Log(log) => format!("{} prints {}", log.node, String::from_utf8_lossy(&log.data)),
        Event::Wanted(_) => "wanted".to_owned(),
        Event::Finished(finished) => format!("{:?}", finished.result()).to_lowercase(),
    }
}

pub(crate) fn words(events: &[v1::BuildEvent]) -> Vec<String> {
    events.iter().map(word).collect()
}

/// How a build ended.
pub(crate) fn finished(events: &[v1::BuildEvent]) -> v1::BuildFinished {
    let ends: Vec<&v1::BuildFinished> = events
        .iter()
        .filter_map(|event| match &event.event {
            Some(v1::build_event::Event::Finished(finished)) => Some(finished),
            _ => None,
        })
        .collect();
    assert_eq!(ends.len(), 1, "{:?}", words(events));
    ends[0].clone()
}

/// What an action prints whose label begins with `long`.
pub(crate) fn long_log(label: &str) -> String {
    format!("{label} is made\n").repeat(100_000)
}

struct Worker {
    store: FarmStore,
    queue: Arc<InProcessQueue>,
    executed: Arc<Mutex<HashMap<String, u32>>>,
    opened: watch::Receiver<bool>,
}

impl Worker {
    async fn work(self) {
        loop {
            let request = LeaseRequest {
                worker: "worker".into(),
                pools: ["default".into()].into(),
                max: 1,
                wait: Duration::from_secs(1),
                running: 0,
                free_memory: 8 << 30,
                total_memory: 8 << 30,
                ahead: false,
            };
            for lease in self.queue.lease(request).await.unwrap() {
                let outcome = self.execute(&lease).await;
                // Refused when the lease was lost: then the task is given anew.
                let _ = complete(&self.queue, &self.store, &lease, outcome).await;
            }
        }
    }

    /// Writes an output that depends on definition and inputs.
    async fn execute(&self, lease: &Lease) -> Outcome {
        let task = &lease.task;
        let mut needed = vec![task.definition];
        needed.extend(task.produced.iter());
        let missing = self.store.missing(needed).await.unwrap();
        if !missing.is_empty() {
            return Outcome::BlobsMissing(missing.into());
        }
        *self
            .executed
            .lock()
            .unwrap()
            .entry(task.label.to_string())
            .or_default() += 1;
        let log = format!("{} is made\n", task.label).into_bytes();
        let output = TaskOutput {
            lease: lease.id,
            offset: 0,
            data: log.clone().into(),
        };
        self.queue.append_log(&[output]).await.unwrap();
        if task.label.contains("hold") {
            while !*self.opened.borrow() {
                tokio::time::sleep(Duration::from_millis(50)).await;
                let renewed = self.queue.renew(&[lease.id]).await.unwrap();
                if !matches!(
                    renewed[..],
                    [Renewal::Held {
                        cancelled: false,
                        ..
                    }]
                ) {
                    return Outcome::Cancelled;
                }
            }
        }
        let log = match task.label.starts_with("long") {
            true => {
                let log = long_log(&task.label).into_bytes();
                Log::Blob(self.store.put_bytes(log).await.unwrap())
            }
            false => Log::from(log),
        };
        if task.label.ends_with("fails") {
            return Outcome::Failed(Arc::new(ActionResult {
                exit_code: 1,
                log,
                ..ActionResult::default()
            }));
        }
        let key: ActionKey = task.key;
        let mut content = key.0.to_vec();
        if task.label.starts_with("random") {
            let counter = lease.id.token.counter;
            content.extend(counter.to_le_bytes());
        }
        let made = self.store.put_bytes(content).await.unwrap();
        Outcome::Succeeded(Arc::new(ActionResult {
            outputs: [OutputFile {
                name: "out".into(),
                digest: made,
                executable: false,
            }]
            .into(),
            log,
            usage: v1::Usage {
                wall_ms: 700,
                peak_memory: 123 << 20,
                ..v1::Usage::default()
            },
            ..ActionResult::default()
        }))
    }
}
