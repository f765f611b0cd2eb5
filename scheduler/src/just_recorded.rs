//! Which results this process has recorded lately, so that nobody has to ask the store for them.

use std::collections::HashMap;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gofarm_proto::ActionKey;

/// After so many, those before them are forgotten: an owner looks after a second or two, and asks the store about what it does not
/// find here.
const GENERATION: usize = 16_384;
/// What was recorded longer ago may have been taken back since and made again.
const LATELY: Duration = Duration::from_secs(10);

/// See the module's page.
#[derive(Debug, Default)]
pub struct JustRecorded(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<ActionKey, Instant>,
    old: HashMap<ActionKey, Instant>,
}

impl JustRecorded {
    fn generations(&self) -> MutexGuard<'_, Generations> {
        // What a panic left lacks a key at most, and then the store is asked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The result of this action was recorded, or refused since it was taken back.
    pub fn note(&self, key: ActionKey, now: Instant) {
        let mut generations = self.generations();
        if generations.young.len() >= GENERATION {
            generations.old = mem::take(&mut generations.young);
        }
        generations.young.insert(key, now);
    }

    /// Whether it was recorded lately.
    pub fn has(&self, key: &ActionKey, now: Instant) -> bool {
        let generations = self.generations();
        let noted = [&generations.young, &generations.old];
        let mut noted = noted.iter().filter_map(|noted| noted.get(key));
        noted.any(|noted| now.saturating_duration_since(*noted) < LATELY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> ActionKey {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_le_bytes());
        ActionKey(key)
    }

    #[test]
    fn the_latest_are_known_and_their_number_is_bounded() {
        let recorded = JustRecorded::default();
        let now = Instant::now();
        for number in 0..3 * GENERATION {
            recorded.note(key(number), now);
            let before = key(number.saturating_sub(GENERATION - 1));
            assert!(recorded.has(&before, now));
        }
        assert!(!recorded.has(&key(0), now));
        assert!(!recorded.has(&key(3 * GENERATION - 1), now + LATELY));
        let generations = recorded.generations();
        assert!(generations.young.len() + generations.old.len() <= 2 * GENERATION);
    }
}
