//! What an action costs beside its own tools.

use anyhow::ensure;

use super::{Bench, progress};
use crate::events::Costs;
use crate::row::{Row, Unit};

/// Small enough for one worker, and large enough for a mean.
const PACKAGES: &[&str] = &["cmd/gofmt"];

impl Bench<'_> {
    /// A cold build by one worker, so that there is always exactly one action under way: what of the build's time is
    /// neither planning nor inside an action's steps was spent on leasing, staging, collecting and scheduling. Steps are
    /// measured in whole milliseconds, rounded down, so the figure is up to 1 ms too large.
    pub(super) fn overhead(&mut self) -> anyhow::Result<Row> {
        let mut row = Row {
            unit: Unit::Milliseconds,
            ..Row::ratio("overhead", "per executed action", Some(5.0))
        };
        let runs = self.options.long_runs();
        for run in 0..runs {
            let (go, farm) = self.fresh(&format!("overhead-{run}"), PACKAGES)?;
            let events = format!("--events={}", farm.events().display());
            let (_, summary) = farm.build(&self.goroot.path, &["--workers=1", &events])?;
            let costs = Costs::read(&farm.events())?;
            ensure!(
                costs.executed > 0,
                "a build with an empty cache executed nothing"
            );
            let actions = costs.executed as f64;
            let beside = summary.wall_ms.saturating_sub(summary.plan_ms) as f64 - costs.steps_ms;
            row.values.push(beside / actions);
            let (stage, collect) = (costs.stage_ms / actions, costs.collect_ms / actions);
            row.note = format!(
                "{}; staging {stage:.2} ms, collecting {collect:.2} ms, all else {:.2} ms",
                summary.note(),
                beside / actions - stage - collect
            );
            progress(&row, runs);
            go.side.remove()?;
            farm.side.remove()?;
        }
        Ok(row)
    }
}
