//! Nothing is cached on either side.

use super::{Bench, progress};
use crate::row::Row;
use crate::sides::{Output, require_equal};

impl Bench<'_> {
    /// Empty GOCACHE against empty farm. Both get the files in the page cache, since GOROOT has just been copied.
    pub(super) fn cold(&mut self) -> anyhow::Result<Row> {
        let mut row = Row::ratio("cold", "empty caches", Some(0.90));
        let runs = self.options.long_runs();
        for run in 0..runs {
            let (go, farm) = self.fresh(&format!("cold-{run}"), self.options.packages())?;
            let seconds = go.build(&self.goroot.path, Output::Written)?;
            let (ours, summary) = farm.build(&self.goroot.path, &[])?;
            require_equal(&go.side, &farm.side)?;
            row.note = summary.note();
            row.pair(seconds, ours);
            progress(&row, runs);
            // The last caches serve the cases that come.
            if let Some((go, farm)) = self.warm.replace((go, farm)) {
                go.side.remove()?;
                farm.side.remove()?;
            }
        }
        self.cold_go.clone_from(&row.go);
        Ok(row)
    }
}
