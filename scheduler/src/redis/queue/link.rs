//! The queue's way to Redis: calls that are about the life of a pool's data.

use std::sync::Arc;

use futures::future::BoxFuture;
use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, RedisError, Script, ScriptInvocation};
use tokio::time::timeout;

use super::pools::{Pool, Pools};
use super::script;
use crate::redis::link::{self, CONNECT, Greeting};
use gofarm_queue::QueueError;

/// Connections for commands of one process.
const LANES: usize = 2;

/// The queue's connections. Every one of them is first asked whether the data is still of the life that this process knows.
pub(super) struct QueueLink(link::Link);

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

impl QueueLink {
    pub fn new(client: redis::Client, pools: Arc<Pools>) -> QueueLink {
        QueueLink(link::Link::new(client, LANES, pools))
    }

    /// For messages, without a password.
    pub fn address(&self) -> &str {
        &self.0.address
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
        let sent = self.0.call(send).await;
        sent.map_err(|error| match error.full {
            true => QueueError::Full {
                reason: error.to_string(),
            },
            false => QueueError::Unavailable {
                reason: error.to_string(),
            },
        })
    }

    /// Makes sure that a pool's data is of one life.
    pub async fn begin(&self, pool: &Pool) -> Result<(), QueueError> {
        self.call(async |mut connection| begin(&mut connection, pool).await)
            .await
    }
}

impl Greeting for Pools {
    fn greet<'a>(
        &'a self,
        connection: &'a mut MultiplexedConnection,
    ) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async {
            for pool in self.all() {
                match timeout(CONNECT, begin(connection, &pool)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return Err(error.to_string()),
                    Err(_) => return Err(format!("no answer within {} s", CONNECT.as_secs())),
                }
            }
            Ok(())
        })
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
