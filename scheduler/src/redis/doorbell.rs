//! Doorbells: one subscription for all who wait in this process for one user of Redis.
//!
//! A ring carries nothing but whom it is for. When the subscription breaks, all are rung for as soon as it stands again, since
//! rings meanwhile were not heard.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use redis::Client;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::link::CONNECT;
use crate::retry::PAUSES;

/// A subscription that says nothing may be dead: it is asked so often.
const PING: Duration = Duration::from_secs(5);

/// Who waits.
pub(super) trait Rung: Send + Sync + 'static {
    /// There was a ring on a channel.
    fn ring(&self, channel: &str, message: &[u8]);

    /// There may have been any.
    fn ring_all(&self);
}

/// Somebody listens, until this is dropped.
pub(super) struct Subscription(AbortHandle);

impl Drop for Subscription {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Listens to the channels of a pattern; the subscription is made anew whenever it breaks. The other end hears when it stands
/// for the first time.
pub(super) fn listen(
    client: Client,
    channels: String,
    rung: Arc<dyn Rung>,
) -> (Subscription, oneshot::Receiver<()>) {
    let (sender, subscribed) = oneshot::channel();
    let task = tokio::spawn(subscribe(client, channels, rung, sender));
    (Subscription(task.abort_handle()), subscribed)
}

/// The pattern that only this text matches.
pub(super) fn literal(text: &str) -> String {
    let mut pattern = String::new();
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\' | '^') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

async fn subscribe(
    client: Client,
    channels: String,
    rung: Arc<dyn Rung>,
    subscribed: oneshot::Sender<()>,
) {
    let mut subscribed = Some(subscribed);
    let mut backoff = PAUSES;
    loop {
        let subscription = timeout(CONNECT, async {
            let mut subscription = client.get_async_pubsub().await?;
            subscription.psubscribe(&channels).await?;
            Ok::<_, redis::RedisError>(subscription)
        });
        match subscription.await {
            Ok(Ok(subscription)) => {
                backoff.reset();
                if let Some(subscribed) = subscribed.take() {
                    // Nobody waits for it if connecting was given up.
                    let _ = subscribed.send(());
                }
                rung.ring_all();
                follow(subscription, &*rung).await;
                tracing::warn!(channels, "lost a subscription to redis; subscribing again");
            }
            failed => {
                let error = match failed {
                    Ok(Err(error)) => error.to_string(),
                    _ => format!("no answer within {} s", CONNECT.as_secs()),
                };
                tracing::warn!(channels, error, "subscribing to redis failed; trying again");
            }
        }
        backoff.wait().await;
    }
}

/// Rings until the subscription breaks.
async fn follow(subscription: redis::aio::PubSub, rung: &dyn Rung) {
    let (mut sink, mut stream) = subscription.split();
    loop {
        match timeout(PING, stream.next()).await {
            Ok(Some(message)) => {
                rung.ring(message.get_channel_name(), message.get_payload_bytes());
            }
            Ok(None) => return,
            Err(_) => {
                // Messages wait in the stream meanwhile.
                let ping = timeout(PING, sink.ping::<redis::Value>()).await;
                if !matches!(ping, Ok(Ok(_))) {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_pattern() {
        assert_eq!(literal("a*[b]"), r"a\*\[b\]");
        assert_eq!(literal("{farm:registry}:bell"), "{farm:registry}:bell");
    }
}
