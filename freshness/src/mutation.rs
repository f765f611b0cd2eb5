//! Builds after random changes: with the kept plan by gofarm, and afresh by `go build`.

mod caches;
mod command;
mod compare;
mod normal;
mod trial;

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gofarm_specimens::{Case, Change, Random, Specimen};

use caches::Caches;
pub use compare::Difference;
use trial::Trial;

/// How many changes a seed stands for, one after the other. To write a specimen and to build it for the first time takes as long as
/// to build it after three changes.
pub const CHANGES: u64 = 6;

/// Makes changes of specimens and compares: a gofarm command, and caches.
#[derive(Debug, Clone)]
pub struct Mutator {
    gofarm: PathBuf,
    caches: Caches,
}

/// When a change is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Between two builds.
    Between,
    /// While a build runs; the specimen is built afterwards, put back as it was, and built again.
    During(Cue),
    /// Between two builds, of which the second runs at the same time as one that the change does not concern, with the same -o.
    AtOnce,
}

/// For what a change waits that is made during a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cue {
    /// So much time after its beginning.
    Time(Duration),
    /// Its plan is made and its files are hashed: what is saved now is not what was hashed.
    Hashed,
}

impl std::fmt::Display for When {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            When::Between => Ok(()),
            When::During(Cue::Time(delay)) => {
                write!(f, ", {} ms into a build", delay.as_millis())
            }
            When::During(Cue::Hashed) => f.write_str(", when a build has hashed its files"),
            When::AtOnce => f.write_str(", and built at once with what was before"),
        }
    }
}

/// Which build differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The one after the change.
    After,
    /// One of two at once.
    AtOnce,
    /// The one after the specimen was put back as it had been before the change.
    Back,
}

/// What came of a change.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// The change.
    pub change: Change,
    /// When it was made.
    pub when: When,
    /// True when the plan was kept that the build before the change used.
    pub kept: bool,
    /// True when the build after the change used a kept plan.
    pub reused: bool,
    /// Of which build the differences are.
    pub moment: Moment,
    /// In what gofarm and go differ; empty when they agree.
    pub differences: Vec<Difference>,
    /// gofarm said that it does not do this; nothing is compared then.
    pub refused: Option<String>,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.change, self.when)?;
        match self.moment {
            Moment::After => Ok(()),
            Moment::AtOnce => f.write_str(": of two builds at once"),
            Moment::Back => f.write_str(": once all was put back"),
        }
    }
}

impl Mutator {
    /// With caches in this folder, which are made when they are not there.
    ///
    /// # Errors
    /// The folder cannot be written, or the standard library cannot be built.
    pub fn new(gofarm: &Path, shared: &Path) -> io::Result<Mutator> {
        let gofarm = gofarm.canonicalize()?;
        Ok(Mutator {
            caches: Caches::new(&gofarm, shared)?,
            gofarm,
        })
    }

    /// The changes of a seed, carried out one after the other and compared, up to the first that differs: what comes behind that would
    /// say nothing. `tell` hears of each, and may break it off.
    ///
    /// # Errors
    /// Of making the specimen or running the programs; not of what they find. [`io::ErrorKind::Unsupported`] where the machine does
    /// not allow what a change needs.
    pub fn run(
        &self,
        case: Case,
        tell: &mut dyn FnMut(&Verdict) -> ControlFlow<()>,
    ) -> io::Result<()> {
        let Case {
            specimen,
            mut random,
            ..
        } = case;
        let mut trial = Trial::new(&self.gofarm, &self.caches, &specimen)?;
        for turn in 0..CHANGES {
            let (when, change) = choose(turn, &trial, &mut random)?;
            let verdict = trial.round(change, when)?;
            if tell(&verdict).is_break() || !verdict.differences.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// This change, and compared.
    ///
    /// # Errors
    /// As [`run`](Mutator::run).
    pub fn change(&self, specimen: &Specimen, change: Change, when: When) -> io::Result<Verdict> {
        Trial::new(&self.gofarm, &self.caches, specimen)?.round(change, when)
    }
}

/// The next change. Only the first build takes long enough for something to happen while it runs.
fn choose(turn: u64, trial: &Trial<'_>, random: &mut Random) -> io::Result<(When, Change)> {
    if turn == 0 && random.once_in(3) {
        let cue = match random.once_in(2) {
            true => Cue::Hashed,
            false => Cue::Time(Duration::from_millis(random.below(1200) as u64)),
        };
        return Ok((When::During(cue), Change::random(trial.written(), random)?));
    }
    if random.once_in(12) {
        return Ok((When::AtOnce, Change::of_settings(trial.written(), random)?));
    }
    Ok((When::Between, Change::random(trial.written(), random)?))
}
