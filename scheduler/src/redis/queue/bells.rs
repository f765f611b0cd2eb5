//! Who waits for the queue in this process.
//!
//! A ring is sent only when someone has looked in vain and said so, which is the same step as the look, so none is missed while
//! the subscription stands.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::mailbox::Mailbox;
use super::pools::Pools;
use crate::redis::doorbell::Rung;
use gofarm_queue::Owner;

/// Workers by pool, and owners.
pub(super) struct QueueBells {
    pub pools: Arc<Pools>,
    mailboxes: Mutex<HashMap<Owner, Arc<Mailbox>>>,
}

impl QueueBells {
    pub fn new(pools: Arc<Pools>) -> QueueBells {
        QueueBells {
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
}

impl Rung for QueueBells {
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

    fn ring_all(&self) {
        for pool in self.pools.all() {
            pool.work.notify_waiters();
        }
        for mailbox in self.mailboxes().values() {
            mailbox.bell.notify_waiters();
        }
    }
}
