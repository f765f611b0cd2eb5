//! What the processes of one action have used, among all that one launcher has reaped.

use std::io;

use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};

/// The sums over the processes that were reaped since it was started.
#[derive(Debug)]
pub struct Meter {
    user_us: u64,
    system_us: u64,
    /// The largest process that was ever reaped here, bytes: the system never forgets it.
    largest_ever: u64,
    peak_memory: u64,
}

/// See [`Meter`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// CPU time, microseconds.
    pub user_us: u64,
    /// CPU time in the kernel, microseconds.
    pub system_us: u64,
    /// Largest resident set of one process, bytes.
    pub peak_memory: u64,
}

impl Meter {
    /// Nothing is used yet.
    pub fn start() -> io::Result<Meter> {
        let reaped = getrusage(UsageWho::RUSAGE_CHILDREN)?;
        Ok(Meter {
            user_us: micros(reaped.user_time()),
            system_us: micros(reaped.system_time()),
            largest_ever: max_rss(&reaped),
            peak_memory: 0,
        })
    }

    /// What was used up to now, after a command whose leader and those that it has reaped had at most `leader_peak` bytes.
    ///
    /// Of orphans, which the launcher reaps, the system keeps no more than the record of all times: one that stays below it
    /// is not seen.
    pub fn read(&mut self, leader_peak: u64) -> io::Result<Used> {
        let reaped = getrusage(UsageWho::RUSAGE_CHILDREN)?;
        let largest_ever = max_rss(&reaped);
        let record = match largest_ever > self.largest_ever {
            true => largest_ever,
            false => 0,
        };
        self.largest_ever = largest_ever;
        self.peak_memory = self.peak_memory.max(leader_peak).max(record);
        Ok(Used {
            user_us: micros(reaped.user_time()).saturating_sub(self.user_us),
            system_us: micros(reaped.system_time()).saturating_sub(self.system_us),
            peak_memory: self.peak_memory,
        })
    }
}

fn micros(time: TimeVal) -> u64 {
    time.num_microseconds().max(0) as u64
}

/// Linux counts it in KiB.
fn max_rss(usage: &Usage) -> u64 {
    usage.max_rss().max(0) as u64 * 1024
}
