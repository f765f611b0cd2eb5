//! The same cold build in one process and on a farm.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::{Bench, progress};
use crate::cpu;
use crate::loopback::{FarmPrograms, LoopbackFarm, SLOTS};
use crate::process::check_stopped;
use crate::row::Row;
use crate::sides::{Farm, Side, require_equal};

/// Longer than ext4 remembers a file that was removed: until then it looks at each of them again whenever a file is made, and
/// the first build would pay for what the last pair has left behind.
const SETTLE: Duration = Duration::from_secs(6);

/// One build of a pair.
struct Measured {
    seconds: f64,
    /// CPU seconds of worker, scheduler, Redis and client; of the client alone where it does all.
    cpu: Option<Vec<f64>>,
    note: String,
}

impl Bench<'_> {
    /// Embedded with empty caches against a farm of one scheduler, Redis and one worker that has just been started: what
    /// it costs to send everything from process to process. Both run as many actions at once. Which of the two is the
    /// first changes from pair to pair.
    pub(super) fn farm(&mut self) -> anyhow::Result<Row> {
        let programs = FarmPrograms::find(&self.options.gofarm)?;
        let mut row = Row {
            sides: ["embedded", "farm"],
            ..Row::ratio("farm", "loopback, 1 worker with 2 slots", Some(1.05))
        };
        let runs = self.options.long_runs();
        for run in 0..runs {
            settle()?;
            let side = |name: &str| -> anyhow::Result<Farm> {
                Ok(Farm {
                    side: Side::new(self.path(&format!("farm-{run}-{name}")))?,
                    program: self.options.gofarm.clone(),
                    packages: self.options.packages(),
                })
            };
            let (alone, shared) = (side("embedded")?, side("client")?);
            let services = self.path(&format!("farm-{run}-services"));
            let (embedded, farm) = if run % 2 == 0 {
                let embedded = self.embedded(&alone)?;
                (embedded, self.on_farm(&programs, &services, &shared)?)
            } else {
                let farm = self.on_farm(&programs, &services, &shared)?;
                (self.embedded(&alone)?, farm)
            };
            require_equal(&alone.side, &shared.side)?;
            row.note = note(&embedded, &farm);
            row.pair(embedded.seconds, farm.seconds);
            progress(&row, runs);
            alone.side.remove()?;
            shared.side.remove()?;
            std::fs::remove_dir_all(&services)
                .with_context(|| format!("removing {}", services.display()))?;
        }
        Ok(row)
    }

    fn embedded(&self, side: &Farm) -> anyhow::Result<Measured> {
        let before = cpu::of_children();
        let workers = format!("--workers={SLOTS}");
        let (seconds, summary) = side.build(&self.goroot.path, &[&workers])?;
        let used = before.zip(cpu::of_children());
        Ok(Measured {
            seconds,
            cpu: used.map(|(before, after)| vec![after - before]),
            note: summary.note(),
        })
    }

    fn on_farm(
        &self,
        programs: &FarmPrograms,
        folder: &Path,
        side: &Farm,
    ) -> anyhow::Result<Measured> {
        let mut farm = LoopbackFarm::start(programs, folder)?;
        let cpu = |farm: &LoopbackFarm| {
            let [worker, scheduler, redis] = farm.cpu()?;
            Some([worker, scheduler, redis, cpu::of_children()?])
        };
        let before = cpu(&farm);
        let server = format!("--server={}", farm.url);
        let built = side.build(&self.goroot.path, &[&server, "--fallback=false"]);
        let used = before.zip(cpu(&farm));
        farm.check()?;
        let (seconds, summary) = built.context("building on the farm")?;
        Ok(Measured {
            seconds,
            cpu: used.map(|(before, after)| {
                let used = before.iter().zip(&after);
                used.map(|(before, after)| after - before).collect()
            }),
            note: summary.note(),
        })
    }
}

fn settle() -> anyhow::Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < SETTLE {
        check_stopped()?;
        sleep(SETTLE / 60);
    }
    Ok(())
}

fn note(embedded: &Measured, farm: &Measured) -> String {
    let (Some(alone), Some(parts)) = (&embedded.cpu, &farm.cpu) else {
        return farm.note.clone();
    };
    let names = ["worker and tools", "scheduler", "Redis", "client"];
    let parts_text: Vec<String> = names
        .iter()
        .zip(parts)
        .map(|(name, seconds)| format!("{name} {seconds:.1}"))
        .collect();
    format!(
        "{}; CPU seconds: embedded {:.1}, farm {:.1} ({})",
        farm.note,
        alone.iter().sum::<f64>(),
        parts.iter().sum::<f64>(),
        parts_text.join(", ")
    )
}
