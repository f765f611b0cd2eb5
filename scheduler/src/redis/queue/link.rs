//! Connections for commands, made anew when they break.
//!
//! A few connections are enough, since each carries the commands of many callers at once. Every one of them is first
//! asked whether the data is still of the life that this process knows: a server that was started anew, or took over,
//! may have older data, and whoever reaches it must know before it acts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_redis::{Connection, Manager, Runtime};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, FromRedisValue, RedisError, Script, ScriptInvocation};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::pools::{Pool, Pools};
use super::script;
use gofarm_queue::QueueError;

/// Connections for commands of one process.
const LANES: usize = 2;

/// No call takes longer, whatever has become of Redis.
const CALL: Duration = Duration::from_secs(5);

/// Within which a connection stands or does not.
pub(super) const CONNECT: Duration = Duration::from_secs(2);

/// Between attempts to connect: from, to.
pub(super) const BACKOFF: (Duration, Duration) =
    (Duration::from_millis(50), Duration::from_secs(1));

/// One connection, or when to try again.
struct Lane {
    connection: Option<Connection>,
    /// Goes up with each connection, so that what broke is told from what replaced it.
    generation: u64,
    delay: Duration,
    not_before: Option<(Instant, String)>,
}

pub(super) struct Link {
    connections: deadpool_redis::Pool,
    /// For messages, without a password.
    pub address: String,
    pools: Arc<Pools>,
    lanes: [Mutex<Lane>; LANES],
    next: AtomicUsize,
}

pub(super) fn unavailable(what: &str, error: impl std::fmt::Display) -> QueueError {
    QueueError::Unavailable {
        reason: format!("{what}: {error}"),
    }
}

/// An incarnation that was not there before.
fn incarnation() -> u64 {
    // Version and variant bits are fixed; 122 random ones are left, folded into 64.
    let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
    (high ^ low.rotate_left(32)).max(1)
}

impl Link {
    pub fn new(client: &redis::Client, pools: Arc<Pools>) -> Result<Link, QueueError> {
        let info = client.get_connection_info().clone();
        let address = info.addr().to_string();
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(CALL));
        let manager = Manager::new_with_config(info, config)
            .map_err(|error| unavailable("redis address", error))?;
        let connections = deadpool_redis::Pool::builder(manager)
            .max_size(LANES)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| unavailable("connections to redis", error))?;
        let lane = || {
            Mutex::new(Lane {
                connection: None,
                generation: 0,
                delay: BACKOFF.0,
                not_before: None,
            })
        };
        Ok(Link {
            connections,
            address,
            pools,
            lanes: std::array::from_fn(|_| lane()),
            next: AtomicUsize::new(0),
        })
    }

    /// Runs a script on a pool's data; `arguments` adds to the first, which is an incarnation.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`] within a bounded time.
    pub async fn run<T: FromRedisValue>(
        &self,
        script: &Script,
        pool: &Pool,
        arguments: impl FnOnce(&mut ScriptInvocation<'_>),
    ) -> Result<T, QueueError> {
        let mut invocation = script.prepare_invoke();
        invocation.key(&pool.life).arg(incarnation());
        arguments(&mut invocation);
        self.call(async |mut connection| invocation.invoke_async(&mut connection).await)
            .await
    }

    /// Sends commands.
    pub async fn call<T>(
        &self,
        send: impl AsyncFnOnce(MultiplexedConnection) -> Result<T, RedisError>,
    ) -> Result<T, QueueError> {
        let lane = &self.lanes[self.next.fetch_add(1, Ordering::Relaxed) % LANES];
        let end = Instant::now() + CALL;
        let connected = tokio::time::timeout_at(end, self.connection(lane)).await;
        let (connection, generation) = connected
            .unwrap_or_else(|_| Err(self.refused("no connection within the time of a call")))?;
        let sent = tokio::time::timeout_at(end, send(connection)).await;
        let error = match sent {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", CALL.as_secs()),
        };
        let mut lane = lane.lock().await;
        if lane.generation == generation
            && let Some(broken) = lane.connection.take()
        {
            drop(Connection::take(broken));
        }
        Err(self.refused(&error))
    }

    fn refused(&self, reason: &str) -> QueueError {
        unavailable(&format!("redis at {}", self.address), reason)
    }

    async fn connection(
        &self,
        lane: &Mutex<Lane>,
    ) -> Result<(MultiplexedConnection, u64), QueueError> {
        let mut lane = lane.lock().await;
        if let Some(connection) = &lane.connection {
            return Ok((MultiplexedConnection::clone(connection), lane.generation));
        }
        if let Some((until, reason)) = &lane.not_before
            && Instant::now() < *until
        {
            return Err(self.refused(reason));
        }
        match self.connect().await {
            Ok(connection) => {
                lane.generation += 1;
                lane.delay = BACKOFF.0;
                lane.not_before = None;
                let clone = MultiplexedConnection::clone(&connection);
                lane.connection = Some(connection);
                Ok((clone, lane.generation))
            }
            Err(reason) => {
                lane.not_before = Some((Instant::now() + lane.delay, reason.clone()));
                lane.delay = (lane.delay * 2).min(BACKOFF.1);
                Err(self.refused(&reason))
            }
        }
    }

    async fn connect(&self) -> Result<Connection, String> {
        let mut connection = timeout(CONNECT, self.connections.get())
            .await
            .map_err(|_| format!("no connection within {} s", CONNECT.as_secs()))?
            .map_err(|error| error.to_string())?;
        for pool in self.pools.all() {
            let begun = timeout(CONNECT, begin(&mut connection, &pool)).await;
            let failed = match begun {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {} s", CONNECT.as_secs()),
            };
            drop(Connection::take(connection));
            return Err(failed);
        }
        Ok(connection)
    }

    /// Makes sure that a pool's data is of one life.
    pub async fn begin(&self, pool: &Pool) -> Result<(), QueueError> {
        self.call(async |mut connection| begin(&mut connection, pool).await)
            .await
    }
}

async fn begin(connection: &mut MultiplexedConnection, pool: &Pool) -> Result<(), RedisError> {
    let seen = pool.seen();
    let mut invocation = script::BEGIN.prepare_invoke();
    invocation.key(&pool.life).arg(incarnation());
    invocation.arg(seen.incarnation).arg(seen.counter);
    let (incarnation, counter): (u64, u64) = invocation.invoke_async(connection).await?;
    pool.note(incarnation, counter);
    Ok(())
}
