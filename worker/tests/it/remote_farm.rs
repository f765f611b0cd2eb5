//! A farm on loopback: a real server with the services that workers use, over a queue and a store of this process; a
//! wire that can be cut; and workers.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gofarm_engine::core::{BuildId, Outcome, Priority, RunId, Share, Task};
use gofarm_proto::{ActionKey, Digest, Message, v1};
use gofarm_queue::{InProcessQueue, LeaseQueue, MonotonicClock, News, Owner, QueueOptions};
use gofarm_rpc::ConnectOptions;
use gofarm_scheduler::blobs::{BlobsService, Presence};
use gofarm_scheduler::leases::{LeasesService, WorkerTable};
use gofarm_store::{DiskStore, DiskStoreOptions, FarmStore};
use gofarm_worker::remote::{LocalCache, RemoteOptions, RemoteSource, ScrubOptions, Servers};
use gofarm_worker::{Executor, SandboxMode, WorkerLoop, WorkerOptions};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;

use crate::farm::options;

pub const PLATFORM: &str = "linux/amd64";
/// Longer than anything happens in; waited for only when a test fails.
const LONG: Duration = Duration::from_secs(30);

#[derive(Default)]
pub struct Table(pub Mutex<Vec<v1::Worker>>);

impl WorkerTable for Table {
    fn note_worker(&self, worker: v1::Worker) {
        self.0.lock().unwrap().push(worker);
    }
}

impl Table {
    /// How many tasks the worker was noted to run, each time.
    pub fn running(&self) -> Vec<u32> {
        let noted = self.0.lock().unwrap();
        noted.iter().map(|worker| worker.running).collect()
    }
}

pub struct RemoteFarm {
    pub queue: Arc<InProcessQueue>,
    pub store: FarmStore,
    pub table: Arc<Table>,
    pub wire: Wire,
    pub owner: Owner,
    news: Arc<Mutex<Vec<News>>>,
    last: Mutex<u64>,
    _tasks: JoinSet<()>,
    _folder: TempDir,
}

impl RemoteFarm {
    pub async fn start(ttl: Duration) -> RemoteFarm {
        let folder = tempfile::tempdir().unwrap();
        let local = DiskStore::open(folder.path(), DiskStoreOptions::default()).unwrap();
        let store = FarmStore::on_disk(local);
        let queue = Arc::new(InProcessQueue::new(
            QueueOptions {
                lease_ttl: ttl,
                ..QueueOptions::default()
            },
            Arc::new(MonotonicClock::new()),
            Arc::new(Presence::new(store.clone())),
        ));
        let table = Arc::new(Table::default());
        let closing = CancellationToken::new();
        let leases = LeasesService::new(queue.clone(), store.clone(), table.clone(), closing);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serve = tonic::transport::Server::builder()
            .add_service(leases.into_server())
            .add_service(BlobsService::new(store.clone()).into_server())
            .serve_with_incoming(TcpListenerStream::new(listener));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { serve.await.unwrap() });
        let owner: Owner = "replica".into();
        let news: Arc<Mutex<Vec<News>>> = Arc::default();
        let (of, to, me) = (queue.clone(), news.clone(), owner.clone());
        tasks.spawn(async move {
            loop {
                let some = of.news(&me, 100, Duration::from_millis(20)).await.unwrap();
                to.lock().unwrap().extend(some);
                of.reap(100).await.unwrap();
            }
        });
        RemoteFarm {
            queue,
            store,
            table,
            wire: Wire::to(address).await,
            owner,
            news,
            last: Mutex::new(0),
            _tasks: tasks,
            _folder: folder,
        }
    }

    pub async fn put(&self, content: &[u8]) -> Digest {
        self.store.put_bytes(content.to_vec()).await.unwrap()
    }

    pub async fn submit(&self, action: &v1::Action, produced: &[Digest]) -> ActionKey {
        let definition = self.put(&action.encode_to_vec()).await;
        let key = ActionKey::new(&definition, produced.iter().copied());
        let run = {
            let mut last = self.last.lock().unwrap();
            *last += 1;
            RunId(*last)
        };
        let task = Task {
            key,
            run,
            definition,
            produced: produced.into(),
            label: action.label.as_str().into(),
            package: "p".into(),
            kind: v1::Kind::Compile,
            pool: format!("default:{PLATFORM}").into(),
            share: Share {
                user: "ann".into(),
                build: BuildId(1),
            },
            priority: Priority::of_remaining_path(1),
            duration_estimate: None,
            memory_estimate: Some(1 << 20),
            near: None,
            exclusive: false,
            attempt: 1,
        };
        self.queue.enqueue(&self.owner, vec![task]).await.unwrap();
        key
    }

    pub async fn cancel(&self, key: ActionKey) {
        let run = RunId(*self.last.lock().unwrap());
        self.queue.cancel(&self.owner, &[(key, run)]).await.unwrap();
    }

    /// Waits until `look` finds something in the news.
    pub async fn heard<T>(&self, mut look: impl FnMut(&News) -> Option<T>) -> T {
        let begun = std::time::Instant::now();
        while begun.elapsed() < LONG {
            if let Some(found) = self.news.lock().unwrap().iter().find_map(&mut look) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("not heard: {:?}", self.news.lock().unwrap());
    }

    pub async fn outcome(&self, of: ActionKey) -> Outcome {
        self.heard(|news| match news {
            News::Done { key, outcome, .. } if *key == of => Some(outcome.clone()),
            _ => None,
        })
        .await
    }

    /// Whether its result comes into the action cache, which is a moment after the owner hears of it.
    pub async fn is_recorded(&self, of: ActionKey) -> bool {
        let begun = std::time::Instant::now();
        while self.store.action(of).await.unwrap().is_none() {
            if begun.elapsed() > LONG {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        true
    }

    /// What follows this prefix in a line of the task's output.
    pub async fn line(&self, of: ActionKey, prefix: &str) -> String {
        let mut text = String::new();
        self.heard(|news| match news {
            News::Log { key, data, .. } if *key == of => {
                text.push_str(&String::from_utf8_lossy(data));
                let line = text.lines().find_map(|line| line.strip_prefix(prefix));
                line.map(str::to_owned)
            }
            _ => None,
        })
        .await
    }

    pub fn ends(&self) -> usize {
        let news = self.news.lock().unwrap();
        let ends = news.iter().filter(|news| matches!(news, News::Done { .. }));
        ends.count()
    }
}

/// What lies between workers and the server.
pub struct Wire {
    from: SocketAddr,
    to: SocketAddr,
    carrying: Mutex<Option<JoinHandle<()>>>,
}

impl Wire {
    async fn to(to: SocketAddr) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Wire {
            from: listener.local_addr().unwrap(),
            to,
            carrying: Mutex::new(Some(carry(listener, to))),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.from)
    }

    /// All connections break, and nobody listens any more.
    pub fn cut(&self) {
        if let Some(carrying) = self.carrying.lock().unwrap().take() {
            carrying.abort();
        }
    }

    pub fn mend(&self) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.from).unwrap();
        let listener = socket.listen(16).unwrap();
        *self.carrying.lock().unwrap() = Some(carry(listener, self.to));
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.cut();
    }
}

fn carry(listener: TcpListener, to: SocketAddr) -> JoinHandle<()> {
    tokio::spawn(async move {
        // Ends with this future.
        let mut connections = JoinSet::new();
        while let Ok((mut near, _)) = listener.accept().await {
            connections.spawn(async move {
                if let Ok(mut far) = TcpStream::connect(to).await {
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                }
            });
        }
    })
}

/// A worker in this process, with a folder of its own.
pub struct RemoteWorker {
    pub store: DiskStore,
    pub source: Arc<RemoteSource>,
    pub drain: CancellationToken,
    pub give_back: CancellationToken,
    running: Option<JoinHandle<()>>,
    folder: Option<TempDir>,
}

impl RemoteWorker {
    pub fn start(farm: &RemoteFarm, slots: usize) -> RemoteWorker {
        RemoteWorker::start_in(tempfile::tempdir().unwrap(), farm, slots)
    }

    pub fn start_in(folder: TempDir, farm: &RemoteFarm, slots: usize) -> RemoteWorker {
        RemoteWorker::start_ahead_in(folder, farm, slots, 0)
    }

    /// One that takes so many ahead.
    pub fn start_ahead_in(
        folder: TempDir,
        farm: &RemoteFarm,
        slots: usize,
        ahead: usize,
    ) -> RemoteWorker {
        let mut worker = RemoteWorker::idle_in(folder, farm, slots);
        let executor = Executor::new(worker.store.clone(), options(SandboxMode::Off)).unwrap();
        let memory = 1 << 30;
        let source = worker.source.clone();
        let (drain, give_back) = (worker.drain.clone(), worker.give_back.clone());
        worker.running = Some(tokio::spawn(async move {
            let options = WorkerOptions { slots, memory };
            let worker = WorkerLoop::new(executor, source.clone(), options).taking_ahead(ahead);
            worker.run_until(&drain, &give_back).await;
            source.close().await;
        }));
        worker
    }

    /// One whose loop does not run.
    pub fn idle_in(folder: TempDir, farm: &RemoteFarm, slots: usize) -> RemoteWorker {
        let store = DiskStore::open(folder.path(), DiskStoreOptions::default()).unwrap();
        let servers = Servers::connect(&[farm.wire.url()], &ConnectOptions::default()).unwrap();
        let drain = CancellationToken::new();
        let options = RemoteOptions {
            worker: "w".to_owned(),
            pool: String::new(),
            platforms: vec![PLATFORM.to_owned()],
            c_toolchains: Vec::new(),
            slots,
            memory: 1 << 30,
            scrub: ScrubOptions::default(),
            spans: gofarm_daemon::Spans::off(),
        };
        let source = RemoteSource::new(servers, LocalCache::new(store.clone()), options, &drain);
        RemoteWorker {
            store,
            source: Arc::new(source),
            drain,
            give_back: CancellationToken::new(),
            running: None,
            folder: Some(folder),
        }
    }

    /// Drains, waits for the end, and leaves the cache folder.
    pub async fn stop(mut self) -> TempDir {
        self.drain.cancel();
        if let Some(running) = self.running.take() {
            running.await.unwrap();
        }
        self.folder.take().unwrap()
    }
}

impl Drop for RemoteWorker {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
        }
    }
}
