//! Whose turn it is: the tasks of one part of a pool that wait, by share.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use gofarm_proto::ActionKey;

use super::ready::{Need, Ready, Spot};
use crate::share::{LEAST_COST, PASSED, SEARCHED};
use gofarm_engine::core::{Millis, Share};

/// Shares forgotten when one begins to rest.
const FORGOTTEN: usize = 16;

/// By time, then by age.
type Turn = (u64, u64);

#[derive(Debug)]
struct Account {
    number: u64,
    /// Its virtual time, milliseconds.
    time: u64,
    ready: Ready,
    /// Leases.
    held: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AccountState {
    /// It has something ready.
    InTurn,
    /// It has only leases.
    Busy,
    /// It has neither, and is remembered as long as it is ahead of the others.
    Resting,
}

impl Account {
    fn state(&self) -> AccountState {
        match (self.ready.is_empty(), self.held) {
            (false, _) => AccountState::InTurn,
            (true, 0) => AccountState::Resting,
            (true, _) => AccountState::Busy,
        }
    }

    fn turn(&self) -> Turn {
        (self.time, self.number)
    }
}

/// What a lease was charged when it was given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Charge {
    weight: u64,
    charged: u64,
    since: Millis,
}

/// See [`crate::share`] for how time is shared.
#[derive(Debug, Default)]
pub(super) struct Shares {
    accounts: HashMap<Share, Account>,
    turns: BTreeMap<Turn, Share>,
    resting: BTreeMap<Turn, Share>,
    /// Builds of a user that have something ready.
    builds: HashMap<Arc<str>, u64>,
    /// The time of the share that got the last lease, when it got it.
    clock: u64,
    numbers: u64,
}

impl Shares {
    /// Where a share begins that had nothing.
    fn floor(&self) -> u64 {
        let first = self.turns.first_key_value();
        first.map_or(self.clock, |((time, _), _)| *time)
    }

    /// The virtual time of a share, were it to get something ready now.
    pub fn time(&self, share: &Share) -> u64 {
        match self.accounts.get(share) {
            Some(account) if account.state() == AccountState::InTurn => account.time,
            Some(account) => account.time.max(self.floor()),
            None => self.floor(),
        }
    }

    pub fn insert(&mut self, share: &Share, spot: &Spot, key: ActionKey) {
        self.change(share, |account| account.ready.insert(spot, key));
    }

    pub fn remove(&mut self, share: &Share, spot: &Spot) {
        self.change(share, |account| account.ready.remove(spot));
    }

    /// Puts a task elsewhere within its share, whose turn stays what it is.
    pub fn replace(&mut self, share: &Share, old: &Spot, new: &Spot, key: ActionKey) {
        self.change(share, |account| {
            account.ready.remove(old);
            account.ready.insert(new, key);
        });
    }

    /// The first task that fits into `free` bytes of this worker; with `idle` also one of which only a guess says that it
    /// does not.
    pub fn best(&self, worker: &str, free: u64, idle: bool) -> Option<(ActionKey, Need)> {
        let mut left = SEARCHED;
        let shares = self.turns.values().take(PASSED);
        shares
            .filter_map(|share| self.accounts.get(share))
            .find_map(|account| account.ready.best(worker, free, idle, &mut left))
    }

    /// A lease of this share begins.
    pub fn charge(&mut self, share: &Share, cost: u64, now: Millis) -> Charge {
        let weight = self.builds.get(&share.user).copied().unwrap_or(1);
        let charged = cost.saturating_mul(weight);
        let begins = self.time(share);
        self.change(share, |account| {
            account.time = begins.saturating_add(charged);
            account.held += 1;
        });
        self.clock = self.clock.max(begins);
        Charge {
            weight,
            charged,
            since: now,
        }
    }

    /// The lease ends.
    pub fn settle(&mut self, share: &Share, charge: Charge, now: Millis) {
        let held = now.since(charge.since).max(LEAST_COST);
        let cost = held.saturating_mul(charge.weight);
        self.change(share, |account| {
            account.time = account.time.saturating_add(cost);
            account.time = account.time.saturating_sub(charge.charged);
            account.held = account.held.saturating_sub(1);
        });
    }

    /// Forgets at most `limit` shares that have nothing and are not ahead of the others any more.
    pub fn forget(&mut self, limit: usize) {
        let floor = self.floor();
        for _ in 0..limit {
            match self.resting.first_entry() {
                Some(first) if first.key().0 <= floor => {
                    self.accounts.remove(&first.remove());
                }
                _ => break,
            }
        }
    }

    /// At most `limit` tasks whose recorded need is greater than this.
    pub fn larger_than(&self, bytes: u64, limit: usize) -> Vec<(ActionKey, Need)> {
        let shares = self.turns.values().take(PASSED);
        shares
            .filter_map(|share| self.accounts.get(share))
            .flat_map(|account| account.ready.larger_than(bytes, limit))
            .take(limit)
            .collect()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.turns.is_empty() && self.builds.is_empty()
    }

    /// Changes an account and puts it where it then belongs.
    fn change(&mut self, share: &Share, change: impl FnOnce(&mut Account)) {
        let floor = self.floor();
        let account = self.accounts.entry(share.clone()).or_insert_with(|| {
            self.numbers += 1;
            Account {
                number: self.numbers,
                time: 0,
                ready: Ready::default(),
                held: 0,
            }
        });
        let (was, before) = (account.state(), account.turn());
        change(account);
        let is = account.state();
        if is == AccountState::InTurn && was != is {
            account.time = account.time.max(floor);
        }
        let after = account.turn();
        if (was, before) == (is, after) {
            return;
        }
        match was {
            AccountState::InTurn => self.turns.remove(&before),
            AccountState::Resting => self.resting.remove(&before),
            AccountState::Busy => None,
        };
        match is {
            AccountState::InTurn => self.turns.insert(after, share.clone()),
            AccountState::Resting => self.resting.insert(after, share.clone()),
            AccountState::Busy => None,
        };
        if is == AccountState::InTurn && was != is {
            *self.builds.entry(share.user.clone()).or_default() += 1;
        } else if was == AccountState::InTurn
            && was != is
            && let Some(builds) = self.builds.get_mut(&share.user)
        {
            *builds -= 1;
            if *builds == 0 {
                self.builds.remove(&share.user);
            }
        }
        if self.resting.len() == self.accounts.len() {
            // Everyone has got what they wanted: times are counted from here.
            self.accounts.clear();
            self.resting.clear();
            self.clock = 0;
        } else if is == AccountState::Resting {
            // Whoever comes back later is younger than those that stayed.
            self.forget(FORGOTTEN);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;

    use super::*;
    use gofarm_engine::core::{BuildId, Priority};

    fn share(user: &str, build: u128) -> Share {
        Share {
            user: user.into(),
            build: BuildId(build),
        }
    }

    fn spot(number: u64) -> Spot {
        Spot {
            place: (Reverse(Priority::of_remaining_path(1)), number),
            need: NEED,
            kept_for: None,
        }
    }

    const NEED: Need = Need {
        bytes: 1,
        recorded: true,
    };

    fn key(number: u64) -> ActionKey {
        ActionKey([number as u8; 32])
    }

    #[test]
    fn a_share_is_remembered_until_the_others_have_caught_up() {
        let mut shares = Shares::default();
        let (ann, bob) = (share("ann", 1), share("bob", 2));
        shares.insert(&bob, &spot(1), key(1));
        shares.insert(&ann, &spot(2), key(2));
        let charge = shares.charge(&ann, 100, Millis(0));
        shares.remove(&ann, &spot(2));
        shares.settle(&ann, charge, Millis(500));
        shares.forget(10);
        assert_eq!(shares.time(&ann), 500, "ahead of bob");
        let charge = shares.charge(&bob, 700, Millis(500));
        shares.forget(10);
        assert_eq!(shares.accounts.len(), 1, "bob is at 700");
        assert_eq!(shares.time(&ann), 700, "nothing is earned by being idle");
        shares.remove(&bob, &spot(1));
        shares.settle(&bob, charge, Millis(600));
        assert!(shares.is_empty());
    }

    #[test]
    fn who_comes_when_all_are_busy_begins_where_they_did() {
        let mut shares = Shares::default();
        let (ann, bob) = (share("ann", 1), share("bob", 2));
        for number in 1..=3 {
            shares.insert(&ann, &spot(number), key(number));
            shares.charge(&ann, 1_000, Millis(0));
            shares.remove(&ann, &spot(number));
        }
        assert_eq!(shares.time(&bob), 2_000);
    }
}
