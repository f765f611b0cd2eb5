//! The queue on Redis passes the suite, and survives what happens to a Redis. All against a real redis-server.

mod faults;
mod full;
mod model;
#[allow(clippy::duplicate_mod, reason = "others' tests start one as well")]
mod sharing;

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use gofarm_proto::Digest;

use super::RedisQueue;
use gofarm_queue::conformance::Subject;
use gofarm_queue::{BlobPresence, LeaseQueue, QueueOptions};
use gofarm_testkit::RedisServer;

#[derive(Default)]
struct Blobs(Mutex<HashSet<Digest>>);

#[async_trait]
impl BlobPresence for Blobs {
    async fn missing(&self, digests: &[Digest]) -> Result<Vec<Digest>, String> {
        let there = self.0.lock().unwrap();
        let missing = digests.iter().filter(|digest| !there.contains(*digest));
        Ok(missing.copied().collect())
    }
}

/// The server that tests share, each with a database of its own. It ends with the last test that uses it.
fn shared() -> Arc<RedisServer> {
    static SERVER: Mutex<Weak<RedisServer>> = Mutex::new(Weak::new());
    let mut server = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    server.upgrade().unwrap_or_else(|| {
        let started = Arc::new(RedisServer::start());
        *server = Arc::downgrade(&started);
        started
    })
}

async fn connect(server: &RedisServer, database: u32, options: QueueOptions) -> RedisQueue {
    let namespace = format!("test{database}");
    let blobs = Arc::new(Blobs::default());
    let url = server.url(database);
    let queue = RedisQueue::connect(url.as_str(), &namespace, options, blobs).await;
    queue.unwrap()
}

struct OnRedis {
    queue: Arc<RedisQueue>,
    blobs: Arc<Blobs>,
    server: Arc<RedisServer>,
    database: u32,
}

/// A database that no other test of this process uses.
fn database() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[async_trait]
impl Subject for OnRedis {
    async fn start(options: QueueOptions) -> Self {
        let (server, database) = (shared(), database());
        let blobs = Arc::new(Blobs::default());
        let (url, namespace) = (server.url(database), format!("test{database}"));
        let queue = RedisQueue::connect(url.as_str(), &namespace, options, blobs.clone()).await;
        OnRedis {
            queue: Arc::new(queue.unwrap()),
            blobs,
            server,
            database,
        }
    }

    fn queue(&self) -> Arc<dyn LeaseQueue> {
        self.queue.clone()
    }

    async fn advance(&self, by: Duration) {
        tokio::time::sleep(by).await;
    }

    async fn lose_data(&self) {
        let mut connection = self.server.connection(self.database);
        redis::cmd("FLUSHDB").exec(&mut connection).unwrap();
    }

    async fn upload(&self, digest: Digest) {
        self.blobs.0.lock().unwrap().insert(digest);
    }
}

gofarm_queue::lease_queue_conformance!(OnRedis);
