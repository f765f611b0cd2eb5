//! How long actions take and how much memory they need, as measured before.

use std::path::Path;
use std::time::SystemTime;

use gofarm_proto::v1::Kind;
use gofarm_proto::{Estimate, MovingAverage};

use crate::error::Result;
use crate::table::{Row, Table};

/// Durations and memory peaks by (package, kind). The package is the import path as `Action.package` has it.
///
/// Kept in one file, like [`FileIndex`](crate::FileIndex); where two processes measure the same action, the last
/// to save wins. Packages not seen for 180 days are forgotten.
#[derive(Debug)]
pub struct History {
    table: Table<HistoryRow>,
}

impl History {
    /// Reads the history from this file, which is made at the first [`save`](History::save). A damaged file
    /// counts as empty; see [`discarded`](History::discarded).
    ///
    /// `now` only decides what is too old to keep.
    pub fn load(file: &Path, now: SystemTime) -> Result<History> {
        let table = Table::load(file, now)?;
        Ok(History { table })
    }

    /// What was measured before, if anything.
    pub fn estimate(&self, package: &str, kind: Kind) -> Option<Estimate> {
        let row = |row: &HistoryRow| Some(row.average().estimate());
        self.table.get(&key(package, kind), row)
    }

    /// Takes a measurement in, as [`MovingAverage`] does.
    pub fn record(&self, package: &str, kind: Kind, measured: Estimate) {
        self.table.update(key(package, kind), |before| {
            let average = MovingAverage::after(before.map(HistoryRow::average), measured);
            HistoryRow {
                duration_ms: average.duration_ms,
                peak_memory: average.peak_memory,
                ..HistoryRow::default()
            }
        });
    }

    /// Writes what was learned. Nothing is written when nothing was.
    pub fn save(&self) -> Result<()> {
        self.table.save()
    }

    /// How many damaged history files were discarded.
    pub fn discarded(&self) -> u64 {
        self.table.discarded()
    }
}

fn key(package: &str, kind: Kind) -> (String, i32) {
    (package.to_owned(), kind as i32)
}

#[derive(Clone, PartialEq, prost::Message)]
struct HistoryRow {
    #[prost(string, tag = "1")]
    package: String,
    #[prost(int32, tag = "2")]
    kind: i32,
    #[prost(double, tag = "3")]
    duration_ms: f64,
    #[prost(double, tag = "4")]
    peak_memory: f64,
    #[prost(uint32, tag = "5")]
    used_day: u32,
}

impl HistoryRow {
    fn average(&self) -> MovingAverage {
        MovingAverage {
            duration_ms: self.duration_ms,
            peak_memory: self.peak_memory,
        }
    }
}

impl Row for HistoryRow {
    type Key = (String, i32);
    const CONTEXT: &'static [u8] = b"gofarm history 1";
    const KEEP_DAYS: u32 = 180;

    fn take_key(&mut self) -> Self::Key {
        (std::mem::take(&mut self.package), self.kind)
    }

    fn put_key(&mut self, (package, kind): Self::Key) {
        self.package = package;
        self.kind = kind;
    }

    fn used_day(&self) -> u32 {
        self.used_day
    }

    fn set_used_day(&mut self, day: u32) {
        self.used_day = day;
    }
}
