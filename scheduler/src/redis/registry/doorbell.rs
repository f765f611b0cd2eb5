//! Listens for rings from all replicas.

use std::sync::Weak;
use std::time::Duration;

use futures::StreamExt;
use redis::{Client, RedisError};
use tokio::time::sleep;

use crate::registry::bells::Bells;

/// How long to wait before connecting again.
const RETRY: Duration = Duration::from_millis(500);
/// How often to see whether anybody is left to ring for.
const LOOK: Duration = Duration::from_secs(5);

/// Passes rings of a channel on until the registry is gone.
pub(super) async fn listen(client: Client, channel: String, bells: Weak<Bells>) {
    while bells.strong_count() > 0 {
        if let Err(error) = hear(&client, &channel, &bells).await {
            tracing::debug!(%error, "redis doorbell is not heard; waiting readers look every second until it is");
        }
        sleep(RETRY).await;
    }
}

async fn hear(client: &Client, channel: &str, bells: &Weak<Bells>) -> Result<(), RedisError> {
    let mut subscription = client.get_async_pubsub().await?;
    subscription.subscribe(channel).await?;
    if let Some(bells) = bells.upgrade() {
        // Rings before the subscription were not heard.
        bells.ring_all();
    }
    let mut messages = subscription.on_message();
    loop {
        let message = tokio::time::timeout(LOOK, messages.next()).await;
        let Some(bells) = bells.upgrade() else {
            return Ok(());
        };
        match message {
            Ok(Some(message)) => match message.get_payload_bytes() {
                b"control" => bells.ring_control(),
                id => {
                    let id = std::str::from_utf8(id).ok().and_then(|id| id.parse().ok());
                    if let Some(id) = id {
                        bells.ring(id);
                    }
                }
            },
            Ok(None) => return Ok(()),
            Err(_) => {}
        }
    }
}
