//! Names in the order of a time about each.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::time::Instant;

/// Names by when something was so of each, the latest at hand.
#[derive(Debug, Default)]
pub(super) struct ByTime {
    order: BTreeSet<(Instant, Arc<str>)>,
    /// How many were looked at, for the tests that say that it is few.
    #[cfg(test)]
    pub looks: std::cell::Cell<usize>,
}

impl ByTime {
    /// The time of this name was `before` and is `now`; none, it is not among them.
    pub fn set(&mut self, name: &Arc<str>, before: Option<Instant>, now: Option<Instant>) {
        if before == now {
            return;
        }
        if let Some(before) = before {
            self.order.remove(&(before, name.clone()));
        }
        if let Some(now) = now {
            self.order.insert((now, name.clone()));
        }
    }

    /// All names, the latest first.
    pub fn latest(&self) -> impl Iterator<Item = (Instant, &Arc<str>)> {
        let latest = self.order.iter().rev().map(|(when, name)| (*when, name));
        latest.inspect(|_| {
            #[cfg(test)]
            self.looks.set(self.looks.get() + 1);
        })
    }

    /// The name whose time is longest ago.
    pub fn earliest(&self) -> Option<(Instant, Arc<str>)> {
        self.order.first().cloned()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.order.len()
    }
}
