//! The leases that this worker holds.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use gofarm_daemon::Place;
use gofarm_proto::v1;
use gofarm_store::Pin;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::message::Granted;
use super::pending::Pending;
use crate::leasing::{Lease, LeaseToken, Lost, MARGIN, RENEW_AFTER};

/// All leases from the moment when the farm's answer came in until their end is told.
///
/// Tokens are given out here: those of the farm are unique within a pool only, and a worker has tasks of several.
#[derive(Debug, Default)]
pub(super) struct HeldLeases {
    state: Mutex<Leases>,
    /// Rung when a renewal may be due earlier than before.
    pub bell: Notify,
}

#[derive(Debug, Default)]
struct Leases {
    last: u64,
    leases: HashMap<LeaseToken, HeldLease>,
}

#[derive(Debug)]
struct HeldLease {
    id: v1::LeaseId,
    label: String,
    build: Option<String>,
    exclusive: bool,
    ttl: Duration,
    /// The farm has renewed it at this moment or later.
    renewed: Instant,
    /// When to renew it next.
    due: Instant,
    lost: watch::Sender<Option<Lost>>,
    traced: Option<Traced>,
    /// Keeps its inputs in the local cache.
    pin: Option<Pin>,
    output: Pending,
}

/// Where the spans of a lease belong, if somebody wants them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Traced {
    pub parent: Place,
    pub attempt: u32,
    /// Since when its inputs are here, as far as known.
    pub ready: SystemTime,
}

impl HeldLease {
    fn deadline(&self) -> Instant {
        self.renewed + (self.ttl - self.ttl / MARGIN)
    }
}

impl HeldLeases {
    fn state(&self) -> MutexGuard<'_, Leases> {
        // Each change is one step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a lease that was asked for at `asked` and given some time since.
    pub fn add(&self, granted: Granted, traced: Option<Traced>, asked: Instant) -> Lease {
        let now = Instant::now();
        let ttl = granted.ttl;
        // The answer to a short question is renewed in its time. After a long wait nobody knows how long the answer was
        // on its way, so the first thing is to ask.
        let (renewed, due) = match now.duration_since(asked) < ttl / RENEW_AFTER {
            true => (asked, asked + ttl / RENEW_AFTER),
            false => (now, now),
        };
        let mut state = self.state();
        state.last += 1;
        let token = LeaseToken {
            incarnation: granted.incarnation,
            counter: state.last,
        };
        state.leases.insert(
            token,
            HeldLease {
                id: granted.id,
                label: granted.label,
                build: granted
                    .trace
                    .map(|(place, _)| format!("{:032x}", place.trace)),
                exclusive: granted.task.exclusive,
                ttl,
                renewed,
                due,
                lost: watch::channel(None).0,
                traced,
                pin: None,
                output: Pending::default(),
            },
        );
        self.bell.notify_one();
        Lease {
            token,
            task: granted.task,
            memory: granted.memory,
            ttl,
        }
    }

    /// How the farm knows it; `None` when it is not held any more.
    pub fn id(&self, token: LeaseToken) -> Option<v1::LeaseId> {
        Some(self.state().leases.get(&token)?.id.clone())
    }

    /// What a person calls its action.
    pub fn label(&self, token: LeaseToken) -> String {
        let state = self.state();
        let held = state.leases.get(&token);
        held.map(|held| held.label.clone()).unwrap_or_default()
    }

    /// On whose account it runs, as far as the farm says so.
    pub fn build(&self, token: LeaseToken) -> Option<String> {
        self.state().leases.get(&token)?.build.clone()
    }

    /// Where its spans belong.
    pub fn traced(&self, token: LeaseToken) -> Option<Traced> {
        self.state().leases.get(&token)?.traced
    }

    /// Its inputs are here since `now`. Where its spans belong.
    pub fn ready(&self, token: LeaseToken, now: SystemTime) -> Option<Traced> {
        let mut state = self.state();
        let traced = state.leases.get_mut(&token)?.traced.as_mut()?;
        traced.ready = now;
        Some(*traced)
    }

    /// Whether nothing else runs beside it.
    pub fn is_exclusive(&self, token: LeaseToken) -> bool {
        let state = self.state();
        let held = state.leases.get(&token);
        held.is_some_and(|held| held.exclusive)
    }

    /// Its end has been told, or does not matter.
    pub fn remove(&self, token: LeaseToken) {
        self.state().leases.remove(&token);
    }

    /// Keeps what the task uses in the local cache until its end.
    pub fn keep_inputs(&self, token: LeaseToken, pin: Pin) {
        if let Some(held) = self.state().leases.get_mut(&token) {
            held.pin.get_or_insert(pin);
        }
    }

    pub fn has_pin(&self, token: LeaseToken) -> bool {
        let state = self.state();
        state
            .leases
            .get(&token)
            .is_some_and(|held| held.pin.is_some())
    }

    /// When the next renewal is due.
    pub fn due(&self) -> Option<Instant> {
        self.state().leases.values().map(|held| held.due).min()
    }

    /// How long an attempt to renew may take: part of the shortest time to live.
    pub fn patience(&self) -> Duration {
        let state = self.state();
        let shortest = state.leases.values().map(|held| held.ttl).min();
        shortest.unwrap_or_default() / RENEW_AFTER
    }

    /// Whether anything is held.
    pub fn any(&self) -> bool {
        !self.state().leases.is_empty()
    }

    /// All that is held.
    pub fn all(&self) -> Vec<(LeaseToken, v1::LeaseId)> {
        let state = self.state();
        let all = state.leases.iter();
        all.map(|(token, held)| (*token, held.id.clone())).collect()
    }

    /// What the farm answered to a renewal that was asked for at `asked`.
    pub fn renewed(&self, token: LeaseToken, answer: v1::LeaseState, asked: Instant) {
        let mut state = self.state();
        let Some(held) = state.leases.get_mut(&token) else {
            return;
        };
        let lost = match answer {
            v1::LeaseState::LeaseHeld | v1::LeaseState::Unspecified => None,
            v1::LeaseState::LeaseCancelled => Some(Lost::Cancelled),
            v1::LeaseState::LeaseLost => Some(Lost::Expired),
            v1::LeaseState::LeaseStolen => Some(Lost::Stolen),
        };
        if matches!(lost, None | Some(Lost::Cancelled)) {
            held.renewed = asked;
        }
        held.due = asked + held.ttl / RENEW_AFTER;
        if lost.is_some() {
            held.lost.send_replace(lost);
        }
    }

    /// The renewal did not come through: again after `pause`.
    pub fn not_renewed(&self, pause: Duration) {
        let now = Instant::now();
        for held in self.state().leases.values_mut() {
            held.due = now + pause;
        }
    }

    /// Whether the farm has said that the lease is somebody else's, or nobody's.
    pub fn is_lost(&self, token: LeaseToken) -> bool {
        let state = self.state();
        let lost = |held: &HeldLease| *held.lost.borrow();
        match state.leases.get(&token).map(lost) {
            None | Some(Some(Lost::Expired | Lost::Stolen)) => true,
            Some(_) => false,
        }
    }

    /// How much longer it holds without another renewal. `None` when it is lost.
    pub fn left(&self, token: LeaseToken) -> Option<Duration> {
        let state = self.state();
        let held = state.leases.get(&token)?;
        let end = held.renewed + held.ttl;
        let lost = held.lost.borrow().is_some();
        (!lost).then(|| end.saturating_duration_since(Instant::now()))
    }

    /// Waits until the lease is ours no longer: the farm said so, or could not be asked in time.
    pub async fn lost(&self, token: LeaseToken) -> Lost {
        loop {
            let (mut lost, deadline) = {
                let state = self.state();
                let Some(held) = state.leases.get(&token) else {
                    return Lost::Expired;
                };
                (held.lost.subscribe(), held.deadline())
            };
            if let Some(lost) = *lost.borrow_and_update() {
                return lost;
            }
            if deadline <= Instant::now() {
                return Lost::NotRenewed;
            }
            tokio::select! {
                // Its sender goes with the lease.
                _ = lost.changed() => {}
                () = tokio::time::sleep_until(deadline) => {}
            }
        }
    }

    /// Takes output of a task.
    pub fn print(&self, token: LeaseToken, chunk: &[u8]) -> bool {
        let mut state = self.state();
        let held = state.leases.get_mut(&token);
        held.is_some_and(|held| held.output.push(chunk))
    }

    /// Output that waits, of one lease or of all, at most about `limit` bytes.
    pub fn printed(&self, only: Option<LeaseToken>, limit: usize) -> Vec<v1::TaskOutput> {
        let mut taken = 0;
        let mut outputs = Vec::new();
        for (token, held) in &mut self.state().leases {
            if only.is_none_or(|only| only == *token)
                && taken < limit
                && let Some((offset, data)) = held.output.take()
            {
                taken += data.len();
                outputs.push(v1::TaskOutput {
                    lease: Some(held.id.clone()),
                    offset,
                    data: data.into(),
                });
            }
        }
        outputs
    }
}
