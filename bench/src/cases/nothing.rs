//! Everything is cached and no source has changed.

use super::{Bench, progress};
use crate::row::Row;
use crate::sides::{Output, require_equal};

/// Of what `go build` takes, where it has to link.
const BOUND: f64 = 0.10;

impl Bench<'_> {
    /// Three states that "nothing changed" can mean. `go build` links in the first two and not in the third.
    pub(super) fn nothing(&mut self) -> anyhow::Result<[Row; 3]> {
        let (go, farm) = self.warm()?;
        let goroot = self.goroot.path.clone();
        let mut discarded = Row::ratio("nothing", "go build -o /dev/null", Some(BOUND));
        let mut removed = Row::ratio("nothing", "programs removed", Some(BOUND));
        let mut in_place = Row::ratio("nothing", "programs in place", None);
        let runs = self.options.short_runs();
        for _ in 0..runs {
            let seconds = go.build(&goroot, Output::Discarded)?;
            let (ours, summary) = farm.build(&goroot, &[])?;
            discarded.note = summary.note();
            discarded.pair(seconds, ours);
            progress(&discarded, runs);

            go.side.remove_programs()?;
            farm.side.remove_programs()?;
            let seconds = go.build(&goroot, Output::Written)?;
            let (ours, summary) = farm.build(&goroot, &[])?;
            require_equal(&go.side, &farm.side)?;
            removed.note = summary.note();
            removed.pair(seconds, ours);
            progress(&removed, runs);

            let seconds = go.build(&goroot, Output::Written)?;
            let (ours, summary) = farm.build(&goroot, &[])?;
            in_place.note = format!("go build does not link either; {}", summary.note());
            in_place.pair(seconds, ours);
            progress(&in_place, runs);
        }
        Ok([discarded, removed, in_place])
    }
}
