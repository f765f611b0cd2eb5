//! How far long work has come.

use std::time::{Duration, Instant};

/// Between two lines. Short work says nothing.
const EVERY: Duration = Duration::from_secs(5);

/// Says on stderr, now and then, how far it is.
pub(super) struct Progress {
    what: &'static str,
    said: Instant,
}

impl Progress {
    pub fn of(what: &'static str) -> Progress {
        let said = Instant::now();
        Progress { what, said }
    }

    /// So much of all is done.
    pub fn of_all(&mut self, done: u64, all: u64) {
        if self.said.elapsed() >= EVERY {
            self.said = Instant::now();
            eprintln!("{}: {done} of {all}", self.what);
        }
    }

    /// So many of 256 parts of the store are done.
    pub fn parts(&mut self, done: u16) {
        if self.said.elapsed() >= EVERY {
            self.said = Instant::now();
            eprintln!("{}: {} %", self.what, u32::from(done) * 100 / 256);
        }
    }
}
