//! One connection to Redis, made again when it breaks.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, FromRedisValue, RedisError, ScriptInvocation};
use tokio::sync::Mutex;

use crate::registry::RegistryError;

/// How long an answer may take. Beyond it the server counts as away; the call is made again by whoever wants it.
const ANSWER: Duration = Duration::from_secs(5);
const CONNECT: Duration = Duration::from_secs(2);

/// Shared by all calls: they are sent as they come and answered in order, so that many cost one round trip.
pub(super) struct Link {
    client: Client,
    connection: Mutex<Option<MultiplexedConnection>>,
}

impl Link {
    pub fn new(client: Client) -> Link {
        Link {
            client,
            connection: Mutex::new(None),
        }
    }

    pub async fn script<T: FromRedisValue>(
        &self,
        call: &'static str,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, RegistryError> {
        let mut connection = self.connection(call).await?;
        let answer = script.invoke_async(&mut connection).await;
        self.answered(call, answer).await
    }

    pub async fn pipeline<T: FromRedisValue>(
        &self,
        call: &'static str,
        pipeline: &redis::Pipeline,
    ) -> Result<T, RegistryError> {
        let mut connection = self.connection(call).await?;
        let answer = pipeline.query_async(&mut connection).await;
        self.answered(call, answer).await
    }

    async fn connection(&self, call: &'static str) -> Result<MultiplexedConnection, RegistryError> {
        let mut connection = self.connection.lock().await;
        if let Some(connection) = &*connection {
            return Ok(connection.clone());
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(ANSWER));
        let made = self
            .client
            .get_multiplexed_async_connection_with_config(&config);
        let made = made.await.map_err(|error| unavailable(call, &error))?;
        Ok(connection.insert(made).clone())
    }

    async fn answered<T>(
        &self,
        call: &'static str,
        answer: Result<T, RedisError>,
    ) -> Result<T, RegistryError> {
        match answer {
            Ok(answer) => Ok(answer),
            Err(error) => {
                // An error that the server answers with says nothing against the connection.
                if error.is_io_error() || error.is_timeout() || error.is_connection_dropped() {
                    *self.connection.lock().await = None;
                }
                Err(unavailable(call, &error))
            }
        }
    }
}

fn unavailable(call: &'static str, error: &RedisError) -> RegistryError {
    RegistryError::Unavailable {
        call,
        reason: error.to_string(),
    }
}
