//! Connections for commands, made anew when they break.
//!
//! A few connections are enough, since each carries the commands of many callers at once. Each is greeted before anything else
//! goes over it: a server that was started anew, or took over, may have older data than this process has seen, and whoever
//! reaches it must know before it acts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use gofarm_timing::{Backoff, random};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout, timeout_at};

use crate::retry::PAUSES;

/// No call takes longer, whatever has become of Redis.
const CALL: Duration = Duration::from_secs(5);

/// The code of an error of a server whose memory is used up.
const FULL: &str = "OOM";

/// Within which a connection stands or does not, and has been greeted or has not.
pub(super) const CONNECT: Duration = Duration::from_secs(2);

/// What is said over a new connection first.
pub(super) trait Greeting: Send + Sync + 'static {
    /// Says it. The connection is not used when the answer is not a good one.
    fn greet<'a>(
        &'a self,
        connection: &'a mut MultiplexedConnection,
    ) -> BoxFuture<'a, Result<(), String>>;
}

/// For whom it is the same which life of its data a server is in.
pub(super) struct NoGreeting;

impl Greeting for NoGreeting {
    fn greet<'a>(&'a self, _: &'a mut MultiplexedConnection) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }
}

/// Redis could not be reached, or would not do it. Whether it was done is not known.
#[derive(Debug, thiserror::Error)]
#[error("redis at {address}: {reason}")]
pub(super) struct Unreachable {
    address: String,
    reason: String,
    /// Nothing was done, since the server's memory is used up.
    pub full: bool,
}

/// One connection, or when to try again.
struct Lane {
    connection: Option<MultiplexedConnection>,
    /// Goes up with each connection, so that what broke is told from what replaced it.
    generation: u64,
    backoff: Backoff,
    not_before: Option<(Instant, String)>,
}

/// The connections for commands of one user of Redis in this process.
pub(super) struct Link {
    client: Client,
    /// For messages, without a password.
    pub address: String,
    greeting: Arc<dyn Greeting>,
    lanes: Vec<Mutex<Lane>>,
    next: AtomicUsize,
}

impl Link {
    /// Over at most so many connections, each made when it is needed.
    pub fn new(client: Client, lanes: usize, greeting: Arc<dyn Greeting>) -> Link {
        let lane = |_| {
            Mutex::new(Lane {
                connection: None,
                generation: 0,
                backoff: PAUSES,
                not_before: None,
            })
        };
        Link {
            address: client.get_connection_info().addr().to_string(),
            client,
            greeting,
            lanes: (0..lanes.max(1)).map(lane).collect(),
            next: AtomicUsize::new(0),
        }
    }

    /// Sends commands. A connection over which anything fails is not used again: the server may have stopped being the one that
    /// takes changes.
    ///
    /// # Errors
    ///
    /// [`Unreachable`] within a bounded time.
    pub async fn call<T>(
        &self,
        send: impl AsyncFnOnce(MultiplexedConnection) -> Result<T, RedisError>,
    ) -> Result<T, Unreachable> {
        let lane = &self.lanes[self.next.fetch_add(1, Ordering::Relaxed) % self.lanes.len()];
        let end = Instant::now() + CALL;
        let connected = timeout_at(end, self.connection(lane)).await;
        let (connection, generation) = connected
            .unwrap_or_else(|_| Err("no connection within the time of a call".to_owned()))
            .map_err(|reason| self.unreachable(reason))?;
        let sent = timeout_at(end, send(connection)).await;
        let reason = match sent {
            Ok(Ok(answer)) => return Ok(answer),
            // The connection is as good as before.
            Ok(Err(error)) if error.code() == Some(FULL) => {
                return Err(Unreachable {
                    full: true,
                    ..self.unreachable(error.to_string())
                });
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", CALL.as_secs()),
        };
        let mut lane = lane.lock().await;
        if lane.generation == generation {
            lane.connection = None;
        }
        Err(self.unreachable(reason))
    }

    fn unreachable(&self, reason: String) -> Unreachable {
        Unreachable {
            address: self.address.clone(),
            reason,
            full: false,
        }
    }

    async fn connection(&self, lane: &Mutex<Lane>) -> Result<(MultiplexedConnection, u64), String> {
        let mut lane = lane.lock().await;
        if let Some(connection) = &lane.connection {
            return Ok((connection.clone(), lane.generation));
        }
        if let Some((until, reason)) = &lane.not_before
            && Instant::now() < *until
        {
            return Err(reason.clone());
        }
        match self.connect().await {
            Ok(connection) => {
                lane.generation += 1;
                lane.backoff.reset();
                lane.not_before = None;
                lane.connection = Some(connection.clone());
                Ok((connection, lane.generation))
            }
            Err(reason) => {
                let pause = lane.backoff.pause(random());
                lane.not_before = Some((Instant::now() + pause, reason.clone()));
                Err(reason)
            }
        }
    }

    async fn connect(&self) -> Result<MultiplexedConnection, String> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(CALL));
        let made = self
            .client
            .get_multiplexed_async_connection_with_config(&config);
        let mut connection = timeout(CONNECT, made)
            .await
            .map_err(|_| format!("no connection within {} s", CONNECT.as_secs()))?
            .map_err(|error| error.to_string())?;
        self.greeting.greet(&mut connection).await?;
        Ok(connection)
    }
}
