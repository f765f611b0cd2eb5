//! The registry's way to Redis.

use redis::{Client, FromRedisValue, ScriptInvocation};

use crate::redis::link::{self, NoGreeting, Unreachable};
use crate::registry::RegistryError;

/// One connection: calls are sent as they come and answered in order, so that many cost one round trip.
const LANES: usize = 1;

/// The registry's connection.
pub(super) struct RegistryLink(link::Link);

impl RegistryLink {
    pub fn new(client: Client) -> RegistryLink {
        // What a server has lost shows in each answer: see `Tenure::Unknown`.
        RegistryLink(link::Link::new(
            client,
            LANES,
            std::sync::Arc::new(NoGreeting),
        ))
    }

    pub async fn script<T: FromRedisValue>(
        &self,
        call: &'static str,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, RegistryError> {
        let sent = self
            .0
            .call(async |mut connection| script.invoke_async(&mut connection).await);
        sent.await.map_err(unavailable(call))
    }

    pub async fn pipeline<T: FromRedisValue>(
        &self,
        call: &'static str,
        pipeline: &redis::Pipeline,
    ) -> Result<T, RegistryError> {
        let sent = self
            .0
            .call(async |mut connection| pipeline.query_async(&mut connection).await);
        sent.await.map_err(unavailable(call))
    }
}

fn unavailable(call: &'static str) -> impl FnOnce(Unreachable) -> RegistryError {
    move |error| match error.full {
        true => RegistryError::Full {
            call,
            reason: error.to_string(),
        },
        false => RegistryError::Unavailable {
            call,
            reason: error.to_string(),
        },
    }
}
