//! The pools of a farm, each with the names that its data has in Redis.
//!
//! `default:linux/amd64` and `default:linux/amd64/ID` are parts of the pool `default`. The parts of a pool share
//! workers, so they share a hash tag: a request for several of them is one step on one shard.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use gofarm_proto::Digest;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::redis::doorbell::literal;
use gofarm_engine::core::PoolName;
use gofarm_queue::FencingToken;
pub(super) use gofarm_queue::pool_of;

/// Leases of one life of a pool that tokens can tell apart; the bits above say which pool it is.
const COUNTER_BITS: u32 = 40;

/// A pool that nobody has used for so long is let go of.
pub(super) const UNUSED: Duration = Duration::from_secs(10 * 60);

/// There from the start, so that there is always a life to ask about.
const FIRST: &str = "default";

/// What this process has seen of the data's life. Data that is older than this was rolled back.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub incarnation: u64,
    /// The greatest counter of a lease.
    pub counter: u64,
}

#[derive(Debug)]
pub(super) struct Pool {
    pub name: Arc<str>,
    number: u32,
    /// The key that every script is given; the others are derived from it.
    pub life: String,
    /// Where its doorbells ring.
    pub channel: String,
    seen: Mutex<Seen>,
    /// When this process last put a task there or asked for one.
    used: Mutex<Option<Instant>>,
    /// Rung for waiting workers.
    pub work: Notify,
}

impl Pool {
    fn new(namespace: &str, name: &str) -> Pool {
        let prefix = format!("{namespace}:{{{name}}}:");
        Pool {
            name: name.into(),
            number: number(name),
            life: format!("{prefix}life"),
            channel: format!("{prefix}bell"),
            seen: Mutex::default(),
            used: Mutex::default(),
            work: Notify::new(),
        }
    }

    /// This process uses it.
    pub fn is_used_at(&self, now: Instant) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// Whether this process has used it lately.
    pub fn is_in_use(&self, now: Instant) -> bool {
        let used = *self.used.lock().unwrap_or_else(PoisonError::into_inner);
        *self.name == *FIRST || used.is_some_and(|used| now.duration_since(used) < UNUSED)
    }

    /// The token of a lease of this pool.
    pub fn token(&self, incarnation: u64, counter: u64) -> FencingToken {
        FencingToken {
            incarnation,
            counter: u64::from(self.number) << COUNTER_BITS | counter,
        }
    }

    pub fn seen(&self) -> Seen {
        self.lock().clone()
    }

    /// Takes note of a lease, or of how many there were in this life.
    pub fn note(&self, incarnation: u64, counter: u64) {
        let mut seen = self.lock();
        if seen.incarnation != incarnation {
            *seen = Seen {
                incarnation,
                counter,
            };
        }
        seen.counter = seen.counter.max(counter);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The counter as the scripts know it.
pub(super) fn counter(token: FencingToken) -> u64 {
    token.counter & ((1 << COUNTER_BITS) - 1)
}

/// The same for all processes, so that a token says by itself where it belongs.
fn number(name: &str) -> u32 {
    let hash = Digest::of(name.as_bytes()).hash;
    u32::from_be_bytes([0, hash[0], hash[1], hash[2]])
}

/// Those that this process knows.
#[derive(Debug)]
pub(super) struct Pools {
    namespace: String,
    known: RwLock<BTreeMap<Arc<str>, Arc<Pool>>>,
}

impl Pools {
    pub fn new(namespace: &str) -> Pools {
        let first = Arc::new(Pool::new(namespace, FIRST));
        Pools {
            namespace: namespace.to_owned(),
            known: RwLock::new(BTreeMap::from([(first.name.clone(), first)])),
        }
    }

    /// Where processes tell each other of pools: a set.
    pub fn names_key(&self) -> String {
        format!("{}:pools", self.namespace)
    }

    /// The channels of all pools, as a pattern.
    pub fn channels(&self) -> String {
        literal(&self.namespace) + ":{*}:bell"
    }

    pub fn all(&self) -> Vec<Arc<Pool>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.values().cloned().collect()
    }

    /// Those that this process has used lately.
    pub fn in_use(&self, now: Instant) -> Vec<Arc<Pool>> {
        let mut pools = self.all();
        pools.retain(|pool| pool.is_in_use(now));
        pools
    }

    /// Knows a pool no more.
    pub fn remove(&self, name: &str) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.remove(name);
    }

    pub fn get(&self, name: &str) -> Option<Arc<Pool>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(name).cloned()
    }

    /// The pool that gave a token, if it is known with the life that it gave it in.
    pub fn of_token(&self, token: FencingToken) -> Option<Arc<Pool>> {
        let mut pools = self.numbered(token).into_iter();
        pools.find(|pool| pool.seen().incarnation == token.incarnation)
    }

    /// The pools that may have given a token. Nearly always at most one: the numbers of one in 16 million pairs of names are
    /// equal. Lives are random numbers, and tell those apart.
    pub fn numbered(&self, token: FencingToken) -> Vec<Arc<Pool>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let number = token.counter >> COUNTER_BITS;
        let pools = known.values();
        let pools = pools.filter(|pool| u64::from(pool.number) == number);
        pools.cloned().collect()
    }

    /// Takes note of a pool; true if it was not known.
    pub fn add(&self, name: &PoolName) -> (Arc<Pool>, bool) {
        if let Some(pool) = self.get(name.as_ref()) {
            return (pool, false);
        }
        let pool = Arc::new(Pool::new(&self.namespace, name.as_ref()));
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let entry = known.entry(pool.name.clone()).or_insert(pool);
        (entry.clone(), true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> PoolName {
        name.parse().unwrap()
    }

    #[test]
    fn pools_whose_numbers_are_equal_are_told_apart_by_their_lives() {
        for (one, other) in [("default", "p28020864"), ("branch-688", "branch-1910")] {
            assert_eq!(number(one), number(other));
            let pools = Pools::new("farm");
            let (one, _) = pools.add(&named(one));
            let (other, new) = pools.add(&named(other));
            assert!(new);
            one.note(7, 1);
            other.note(8, 1);
            let tokens = [one.token(7, 1), other.token(8, 1)];
            let found = tokens.map(|token| pools.of_token(token).unwrap().name.clone());
            assert_eq!(found, [one.name.clone(), other.name.clone()]);
            assert!(pools.of_token(one.token(9, 1)).is_none());
        }
    }

    #[test]
    fn parts_of_a_pool_share_its_hash_tag() {
        let pools = Pools::new("farm");
        let name = |part| pool_of(part);
        assert_eq!(name("default"), "default");
        assert_eq!(name("default:linux/amd64"), "default");
        assert_eq!(name("default:linux/amd64/gcc:12"), "default");
        let (pool, new) = pools.add(&named("big"));
        assert!(new);
        assert_eq!(pool.life, "farm:{big}:life");
        assert!(!pools.add(&named("big")).1);
    }

    #[test]
    fn a_token_says_which_pool_it_is_of() {
        let pools = Pools::new("farm");
        let (big, _) = pools.add(&named("big"));
        big.note(7, 12);
        let token = big.token(7, 12);
        assert_eq!(counter(token), 12);
        assert_eq!(pools.of_token(token).unwrap().name, big.name);
        let other = Pools::new("farm");
        assert!(other.of_token(token).is_none());
    }

    #[test]
    fn a_namespace_is_no_pattern() {
        assert_eq!(Pools::new("a*[b]").channels(), r"a\*\[b\]:{*}:bell");
    }
}
