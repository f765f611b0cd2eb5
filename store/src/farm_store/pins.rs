//! What a farm's folder keeps although it is over its bound.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::{DiskStore, Result, Session};

/// How long at least what was used is kept. A client that was told that a blob is there relies on it for the rest of
/// its upload, and a worker between its lease and its last input.
const KEPT: Duration = Duration::from_secs(10 * 60);

/// Two sessions that follow each other, so that what is spared was used in the last ten to twenty minutes.
#[derive(Debug)]
pub(super) struct Held {
    sessions: Mutex<Option<Sessions>>,
}

#[derive(Debug)]
struct Sessions {
    current: Session,
    since: Instant,
    _previous: Option<Session>,
}

impl Held {
    /// Where no session can be begun, eviction says why and removes nothing.
    pub(super) fn begin(local: &DiskStore) -> Held {
        Held {
            sessions: Mutex::new(Sessions::begin(local, None).ok()),
        }
    }

    /// Begins another session when the current one is old enough. To be called before an eviction.
    pub(super) fn turn(&self, local: &DiskStore) -> Result<()> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let next = match sessions.take() {
            Some(young) if young.since.elapsed() < KEPT => young,
            old => Sessions::begin(local, old.map(|old| old.current))?,
        };
        *sessions = Some(next);
        Ok(())
    }
}

impl Sessions {
    fn begin(local: &DiskStore, previous: Option<Session>) -> Result<Sessions> {
        Ok(Sessions {
            current: local.session()?,
            since: Instant::now(),
            _previous: previous,
        })
    }
}
