//! Doorbells: one subscription for all who wait in this process.
//!
//! A ring carries no task. It is sent only when someone has looked in vain and said so, which is the same step as the
//! look, so none is missed while the subscription stands; when it breaks, all are rung for as soon as it stands again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use tokio::time::{sleep, timeout};

use super::link::{BACKOFF, CONNECT};
use super::mailbox::Mailbox;
use super::pools::Pools;
use gofarm_queue::Owner;

/// A subscription that says nothing may be dead: it is asked so often.
const PING: Duration = Duration::from_secs(5);

/// Who waits in this process.
pub(super) struct Bells {
    pub pools: Arc<Pools>,
    mailboxes: Mutex<HashMap<Owner, Arc<Mailbox>>>,
}

impl Bells {
    pub fn new(pools: Arc<Pools>) -> Bells {
        Bells {
            pools,
            mailboxes: Mutex::default(),
        }
    }

    pub fn mailbox(&self, owner: &Owner) -> Arc<Mailbox> {
        let mut mailboxes = self.mailboxes();
        mailboxes.entry(owner.clone()).or_default().clone()
    }

    fn mailboxes(&self) -> std::sync::MutexGuard<'_, HashMap<Owner, Arc<Mailbox>>> {
        let mailboxes = self.mailboxes.lock();
        mailboxes.unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes everyone.
    pub fn ring_all(&self) {
        for pool in self.pools.all() {
            pool.work.notify_waiters();
        }
        for mailbox in self.mailboxes().values() {
            mailbox.bell.notify_waiters();
        }
    }

    fn ring(&self, channel: &str, who: &[u8]) {
        if who.is_empty() {
            let pools = self.pools.all();
            let pool = pools.iter().find(|pool| pool.channel == channel);
            if let Some(pool) = pool {
                pool.work.notify_waiters();
            }
            return;
        }
        let owner = std::str::from_utf8(who).unwrap_or_default();
        if let Some(mailbox) = self.mailboxes().get(owner) {
            mailbox.bell.notify_waiters();
        }
    }
}

/// Listens for ever; the subscription is made anew whenever it breaks.
pub(super) async fn listen(
    client: redis::Client,
    bells: Arc<Bells>,
    subscribed: tokio::sync::oneshot::Sender<()>,
) {
    let mut subscribed = Some(subscribed);
    let mut delay = BACKOFF.0;
    loop {
        let subscription = timeout(CONNECT, async {
            let mut subscription = client.get_async_pubsub().await?;
            subscription.psubscribe(bells.pools.channels()).await?;
            Ok::<_, redis::RedisError>(subscription)
        });
        match subscription.await {
            Ok(Ok(subscription)) => {
                delay = BACKOFF.0;
                if let Some(subscribed) = subscribed.take() {
                    // Nobody waits for it if connecting was given up.
                    let _ = subscribed.send(());
                }
                bells.ring_all();
                follow(subscription, &bells).await;
                tracing::warn!("lost the subscription to redis; subscribing again");
            }
            failed => {
                let error = match failed {
                    Ok(Err(error)) => error.to_string(),
                    _ => format!("no answer within {} s", CONNECT.as_secs()),
                };
                tracing::warn!(error, "subscribing to redis failed; trying again");
            }
        }
        sleep(delay).await;
        delay = (delay * 2).min(BACKOFF.1);
    }
}

/// Rings until the subscription breaks.
async fn follow(subscription: redis::aio::PubSub, bells: &Bells) {
    let (mut sink, mut stream) = subscription.split();
    loop {
        match timeout(PING, stream.next()).await {
            Ok(Some(message)) => {
                bells.ring(message.get_channel_name(), message.get_payload_bytes());
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
