//! One random change of a specimen or its surroundings.

mod above;
mod cache;
mod contents;
mod git;
mod goes;
mod names;
mod settings;
mod step;
mod things;

use std::io;

use crate::random::Random;
use crate::specimen::Written;

pub use step::Step;
use things::Things;

/// Something that a user could do between two builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// In words, with paths below the specimen's root.
    pub what: String,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

impl Change {
    fn new(what: impl Into<String>, steps: Vec<Step>) -> Change {
        Change {
            what: what.into(),
            steps,
        }
    }

    /// A change of what is there now. The same for the same random numbers and the same specimen, wherever that lies.
    ///
    /// # Errors
    /// The specimen cannot be read.
    pub fn random(written: &Written, random: &mut Random) -> io::Result<Change> {
        let things = Things::of(written)?;
        // What users do most is tried most. Each kind may have nothing to offer here; then another one is asked.
        type Kind = fn(&Written, &Things, &mut Random) -> Option<Change>;
        const KINDS: [(usize, Kind); 10] = [
            (7, contents::edit),
            (2, contents::damage),
            (5, names::appear),
            (4, names::rename_or_remove),
            (5, goes::another_kind),
            (2, settings::variable),
            (2, settings::flag_or_package),
            (2, settings::tool),
            (3, git::state),
            (1, cache::modules),
        ];
        const ABOVE: usize = 2;
        let all: usize = KINDS.iter().map(|(weight, _)| weight).sum::<usize>() + ABOVE;
        loop {
            let mut turn = random.below(all);
            let kind = KINDS
                .iter()
                .find(|(weight, _)| {
                    let here = turn < *weight;
                    turn = turn.wrapping_sub(if here { 0 } else { *weight });
                    here
                })
                .map_or(above::appears as Kind, |(_, kind)| *kind);
            if let Some(change) = kind(written, &things, random) {
                return Ok(change);
            }
        }
    }

    /// As [`random`](Change::random), of how it is built alone: environment and flags, and no file.
    ///
    /// # Errors
    /// The specimen cannot be read.
    pub fn of_settings(written: &Written, random: &mut Random) -> io::Result<Change> {
        let things = Things::of(written)?;
        loop {
            let kind = match random.once_in(2) {
                true => settings::variable,
                false => settings::flag_or_package,
            };
            if let Some(change) = kind(written, &things, random) {
                return Ok(change);
            }
        }
    }

    /// Carries it out; what it does to the build itself (environment, flags, packages) is done to `written`.
    ///
    /// # Errors
    /// The specimen is not as it was, or git failed.
    pub fn apply(&self, written: &mut Written) -> io::Result<()> {
        for step in &self.steps {
            step.apply(written)
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", self.what)))?;
        }
        Ok(())
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}
