//! What a farm's folder keeps although it is over its bound.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::{DiskStore, Pin, Result};

/// How long at least what was used is kept. A client that was told that a blob is there relies on it for the rest of
/// its upload, and a worker between its lease and its last input.
const KEPT: Duration = Duration::from_secs(10 * 60);

/// Two pins that follow each other, so that what is spared was used in the last ten to twenty minutes.
#[derive(Debug)]
pub(super) struct Pins {
    pair: Mutex<Option<Pair>>,
}

#[derive(Debug)]
struct Pair {
    current: Pin,
    since: Instant,
    _previous: Option<Pin>,
}

impl Pins {
    /// Where no pin can be begun, eviction says why and removes nothing.
    pub(super) fn begin(local: &DiskStore) -> Pins {
        Pins {
            pair: Mutex::new(Pair::begin(local, None).ok()),
        }
    }

    /// Begins another pin when the current one is old enough. To be called before an eviction.
    pub(super) fn turn(&self, local: &DiskStore) -> Result<()> {
        let mut pair = self.pair.lock().unwrap_or_else(PoisonError::into_inner);
        let next = match pair.take() {
            Some(young) if young.since.elapsed() < KEPT => young,
            old => Pair::begin(local, old.map(|old| old.current))?,
        };
        *pair = Some(next);
        Ok(())
    }
}

impl Pair {
    fn begin(local: &DiskStore, previous: Option<Pin>) -> Result<Pair> {
        Ok(Pair {
            current: local.pin()?,
            since: Instant::now(),
            _previous: previous,
        })
    }
}
