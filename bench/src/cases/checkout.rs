//! The same tree in a folder where nothing was ever built.

use super::{Bench, progress};
use crate::goroot::PrivateGoroot;
use crate::row::{Row, median};
use crate::sides::{Output, require_equal};

impl Bench<'_> {
    /// A warm farm against a cold `go build`, which is what a second machine or a fresh container has; and, without a
    /// bound, against a `go build` with a warm GOCACHE, which `-trimpath` makes good for both folders.
    ///
    /// Each repetition has a folder of its own, since a plan and file digests are remembered by path.
    pub(super) fn checkout(&mut self) -> anyhow::Result<[Row; 2]> {
        let (go, farm) = self.warm()?;
        if self.cold_go.is_empty() {
            eprintln!("checkout: a cold go build to compare with");
            let (cold, unused) = self.fresh("checkout-cold", self.options.packages())?;
            self.cold_go
                .push(cold.build(&self.goroot.path, Output::Written)?);
            cold.side.remove()?;
            unused.side.remove()?;
        }
        let cold = median(&self.cold_go);
        let mut against_cold = Row::ratio("checkout", "against a cold go build", Some(0.05));
        let mut against_warm = Row::ratio("checkout", "against a warm GOCACHE", None);
        let runs = self.options.short_runs();
        for run in 0..runs {
            let folder = self.path(&format!("checkout-{run}"));
            let second = PrivateGoroot::copy(&self.install.goroot, &folder)?;
            go.side.remove_programs()?;
            farm.side.remove_programs()?;
            let seconds = go.build(&second.path, Output::Written)?;
            let (ours, summary) = farm.build(&second.path, &[])?;
            require_equal(&go.side, &farm.side)?;
            for (row, seconds) in [(&mut against_cold, cold), (&mut against_warm, seconds)] {
                row.note = summary.note();
                row.pair(seconds, ours);
                progress(row, runs);
            }
            std::fs::remove_dir_all(&second.path)?;
        }
        Ok([against_cold, against_warm])
    }
}
