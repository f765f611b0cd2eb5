//! A farm for tests: the services of a scheduler on a port of this machine, with all that it knows in memory, and a worker
//! that makes outputs without running anything.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gofarm_engine::core::{ActionResult, Outcome, OutputFile};
use gofarm_proto::v1::builds_server::BuildsServer;
use gofarm_proto::{Digest, Message, v1};
use gofarm_queue::{InProcessQueue, Lease, LeaseQueue, LeaseRequest, MonotonicClock, QueueOptions};
use gofarm_scheduler::blobs::{BlobsService, Presence};
use gofarm_scheduler::builds::BuildsService;
use gofarm_scheduler::engine::{EngineHandle, ReplicaOptions};
use gofarm_scheduler::registry::MemoryRegistry;
use gofarm_store::{DiskStore, DiskStoreOptions, FarmStore};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio_stream::wrappers::TcpListenerStream;

/// Dropped, all of it is gone at once, open connections too; only the store's folder stays.
pub(super) struct TestFarm {
    pub port: u16,
    pub store: DiskStore,
    pub queue: Arc<dyn LeaseQueue>,
    /// How many actions the worker may still do.
    pub allowed: Arc<Semaphore>,
    runtime: Option<Runtime>,
}

impl TestFarm {
    /// Over the store in this folder; on this port, or any.
    pub fn start(folder: &Path, port: u16, allowed: usize) -> TestFarm {
        TestFarm::start_patient(folder, port, allowed, Duration::from_secs(30))
    }

    /// One whose builds wait this long for sources that are lost.
    pub fn start_patient(
        folder: &Path,
        port: u16,
        allowed: usize,
        wanted_patience: Duration,
    ) -> TestFarm {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let local = DiskStore::open(folder, DiskStoreOptions::default()).unwrap();
        let store = FarmStore::on_disk(local.clone());
        let queue: Arc<dyn LeaseQueue> = Arc::new(InProcessQueue::new(
            QueueOptions::default(),
            Arc::new(MonotonicClock::new()),
            Arc::new(Presence::new(store.clone())),
        ));
        let allowed = Arc::new(Semaphore::new(allowed));
        // A port that was just in use may take a moment to be free again.
        let listener = loop {
            match std::net::TcpListener::bind(("127.0.0.1", port)) {
                Ok(listener) => break listener,
                Err(error) if port == 0 => panic!("{error}"),
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let entered = runtime.enter();
        let replica = format!("replica-{}", uuid::Uuid::new_v4());
        let engine = EngineHandle::start(
            ReplicaOptions {
                wanted_patience,
                ..ReplicaOptions::new(replica)
            },
            queue.clone(),
            Arc::new(MemoryRegistry::new()),
            store.clone(),
        );
        let listener = TcpListener::from_std(listener).unwrap();
        let server = tonic::transport::Server::builder()
            .add_service(BlobsService::new(store.clone()).into_server())
            .add_service(BuildsServer::new(BuildsService::new(engine)));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        drop(entered);
        runtime.spawn(work(queue.clone(), local.clone(), allowed.clone()));
        TestFarm {
            port,
            store: local,
            queue,
            allowed,
            runtime: Some(runtime),
        }
    }
}

impl Drop for TestFarm {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

pub(super) fn request(max: usize) -> LeaseRequest {
    LeaseRequest {
        worker: "w1".into(),
        pools: ["default".into()].into(),
        max,
        wait: Duration::from_secs(1),
        running: 0,
        free_memory: 1 << 30,
        total_memory: 1 << 30,
        ahead: false,
    }
}

async fn work(queue: Arc<dyn LeaseQueue>, store: DiskStore, allowed: Arc<Semaphore>) {
    loop {
        allowed.acquire().await.unwrap().forget();
        let leases = queue.lease(request(1)).await.unwrap();
        if leases.is_empty() {
            allowed.add_permits(1);
        }
        for lease in leases {
            let outcome = outcome(&store, &lease);
            match &outcome {
                // As the service does that workers speak to: nobody else records results.
                Outcome::Succeeded(result) => {
                    let result = v1::ActionResult::from(&**result);
                    let made = v1::Provenance::default();
                    store.record_action(&lease.id.key, &result, &made).unwrap();
                }
                _ => allowed.add_permits(1),
            }
            queue.complete(&lease.id, outcome).await.unwrap();
        }
    }
}

/// Outputs that say what they were made of.
fn outcome(store: &DiskStore, lease: &Lease) -> Outcome {
    let definition = lease.task.definition;
    let Ok(action) = store.read(&definition) else {
        return Outcome::BlobsMissing([definition].into());
    };
    let action = v1::Action::decode(action.as_slice()).unwrap();
    let sources = action
        .inputs
        .iter()
        .filter_map(|input| match &input.source {
            Some(v1::input::Source::Digest(digest)) => Some(Digest::try_from(digest).unwrap()),
            _ => None,
        });
    let read: Vec<Digest> = sources.chain(lease.task.produced.to_vec()).collect();
    let missing = store.missing(&read).unwrap();
    if !missing.is_empty() {
        return Outcome::BlobsMissing(missing.into());
    }
    let output = |output: &v1::Output| OutputFile {
        name: output.name.as_str().into(),
        digest: store
            .put_bytes(format!("{} of {read:?}", output.name).as_bytes())
            .unwrap(),
        executable: false,
    };
    Outcome::Succeeded(Arc::new(ActionResult {
        outputs: action.outputs.iter().map(output).collect(),
        ..ActionResult::default()
    }))
}
