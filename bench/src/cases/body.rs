//! One function body has changed, in a package that everything imports.

use super::{Bench, progress};
use crate::row::Row;
use crate::sides::{Output, require_equal};

impl Bench<'_> {
    /// Each repetition has a body that no cache has ever seen. Both sides build the same edited tree.
    pub(super) fn body(&mut self) -> anyhow::Result<Row> {
        let (go, farm) = self.warm()?;
        let mut row = Row::ratio("body", "a string inside a function of fmt", Some(0.08));
        let runs = self.options.short_runs();
        for _ in 0..runs {
            self.goroot.edit()?;
            let seconds = go.build(&self.goroot.path, Output::Written)?;
            let (ours, summary) = farm.build(&self.goroot.path, &[])?;
            require_equal(&go.side, &farm.side)?;
            row.note = summary.note();
            row.pair(seconds, ours);
            progress(&row, runs);
        }
        self.goroot.revert()?;
        Ok(row)
    }
}
