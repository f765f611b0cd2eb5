//! In what two builds of the same differ.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use gofarm_specimens::Written;
use sha2::{Digest, Sha256};

use super::command::Ended;
use super::normal::normal;

/// Names of programs and SHA-256 of their bytes.
pub(super) type Programs = BTreeMap<String, String>;

/// What came of a build.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub ended: Ended,
    pub programs: Programs,
}

impl Made {
    pub fn succeeded(&self) -> bool {
        self.ended.code == Some(0)
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// Of exit codes; `None` is a build that had to be killed.
    Code {
        /// Of gofarm.
        ours: Option<i32>,
        /// Of go.
        theirs: Option<i32>,
        /// What both said.
        texts: (String, String),
    },
    /// Of what was said about a failure.
    Text {
        /// By gofarm.
        ours: String,
        /// By go.
        theirs: String,
    },
    /// A program that only one has made.
    Missing {
        /// Its name.
        name: String,
        /// True when gofarm has made it.
        ours: bool,
    },
    /// Programs of one name with other bytes.
    Bytes {
        /// Their name.
        name: String,
    },
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Difference::Code {
                ours,
                theirs,
                texts,
            } => write!(
                f,
                "gofarm ended with {ours:?}, go with {theirs:?}\n    gofarm said: {}\n    go said: {}",
                texts.0.trim_end().replace('\n', "\n        "),
                texts.1.trim_end().replace('\n', "\n        ")
            ),
            Difference::Text { ours, theirs } => write!(
                f,
                "gofarm said: {}\n    go said: {}",
                ours.trim_end().replace('\n', "\n        "),
                theirs.trim_end().replace('\n', "\n        ")
            ),
            Difference::Missing { name, ours } => {
                let who = if *ours { "gofarm" } else { "go" };
                write!(f, "only {who} made a program {name}")
            }
            Difference::Bytes { name } => write!(f, "{name} has other bytes"),
        }
    }
}

/// The programs in a folder; none when it is gone.
pub(super) fn programs(folder: &Path) -> io::Result<Programs> {
    let mut programs = Programs::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(programs);
    };
    for entry in entries {
        let entry = entry?;
        let sum = hex::encode(Sha256::digest(fs::read(entry.path())?));
        programs.insert(entry.file_name().to_string_lossy().into_owned(), sum);
    }
    Ok(programs)
}

/// gofarm's own word that it does not build this.
pub(super) fn refusal(ours: &Ended) -> Option<String> {
    let line = ours
        .stderr
        .lines()
        .find(|line| line.starts_with("gofarm: ") && line.contains("not supported"))?;
    (ours.code != Some(0)).then(|| line.to_owned())
}

/// Whether the go command itself has crashed in both: a fault of its own, which comes to light when a build is planned as well. What
/// it says then has addresses in it, and nobody promises its exit code.
fn both_crashed(ours: &Ended, theirs: &Ended) -> bool {
    let crashed = |ended: &Ended| {
        let mut lines = ended.stderr.lines();
        let is_crash = lines.any(|line| line.starts_with("panic: "));
        is_crash && lines.any(|line| line.starts_with("cmd/go/"))
    };
    ours.code != Some(0) && crashed(ours) && crashed(theirs)
}

/// A difference of exit codes.
fn of_codes(ours: &Ended, theirs: &Ended, written: &Written) -> Option<Difference> {
    (!both_crashed(ours, theirs) && ours.code != theirs.code).then(|| Difference::Code {
        ours: ours.code,
        theirs: theirs.code,
        texts: (
            normal(&ours.stderr, written),
            normal(&theirs.stderr, written),
        ),
    })
}

/// What is wrong with what two builds at once have left: each program is one of the two, and none is missing.
pub(super) fn one_of_two(
    built: &[Ended; 2],
    left: &Programs,
    made: &[Made; 2],
    written: &Written,
) -> Vec<Difference> {
    let both = built.iter().zip(made);
    let mut found: Vec<Difference> = both
        .filter_map(|(ours, theirs)| of_codes(ours, &theirs.ended, written))
        .collect();
    if !found.is_empty() {
        return found;
    }
    let names = made.iter().flat_map(|made| made.programs.keys());
    for name in names.chain(left.keys()).collect::<BTreeSet<_>>() {
        let theirs = || made.iter().filter_map(|made| made.programs.get(name));
        found.extend(match left.get(name) {
            Some(ours) if theirs().any(|theirs| ours == theirs) => None,
            Some(_) if theirs().next().is_some() => Some(Difference::Bytes { name: name.clone() }),
            ours => Some(Difference::Missing {
                name: name.clone(),
                ours: ours.is_some(),
            }),
        });
    }
    found
}

pub(super) fn differences(ours: &Made, theirs: &Made, written: &Written) -> Vec<Difference> {
    if let Some(difference) = of_codes(&ours.ended, &theirs.ended, written) {
        return vec![difference];
    }
    let texts = (
        normal(&ours.ended.stderr, written),
        normal(&theirs.ended.stderr, written),
    );
    let (our_programs, their_programs) = (&ours.programs, &theirs.programs);
    let mut found = Vec::new();
    // What is said about a success is each one's own.
    if !ours.succeeded() && !both_crashed(&ours.ended, &theirs.ended) && texts.0 != texts.1 {
        found.push(Difference::Text {
            ours: texts.0,
            theirs: texts.1,
        });
    }
    let names = our_programs.keys().chain(their_programs.keys());
    let names: BTreeSet<&String> = names.collect();
    // An error that cmd/go finds in the dry run ends the planning: gofarm makes nothing then, where go makes the other programs.
    let built = ours.succeeded() || ours.ended.stderr.contains("gofarm: build failed in ");
    for name in names {
        match (our_programs.get(name), their_programs.get(name)) {
            (Some(ours), Some(theirs)) if ours == theirs => {}
            (None, Some(_)) if !built => {}
            (Some(_), Some(_)) => found.push(Difference::Bytes { name: name.clone() }),
            (ours, _) => found.push(Difference::Missing {
                name: name.clone(),
                ours: ours.is_some(),
            }),
        }
    }
    found
}
