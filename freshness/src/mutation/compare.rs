//! In what two builds of the same differ.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use gofarm_specimens::Written;
use sha2::{Digest, Sha256};

use super::command::Ended;
use super::normal::normal;

/// Names of programs and SHA-256 of their bytes.
pub(super) type Programs = BTreeMap<String, String>;

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

pub(super) fn differences(
    (ours, our_programs): (&Ended, &Programs),
    (theirs, their_programs): (&Ended, &Programs),
    written: &Written,
) -> Vec<Difference> {
    let texts = (
        normal(&ours.stderr, written),
        normal(&theirs.stderr, written),
    );
    if ours.code != theirs.code {
        return vec![Difference::Code {
            ours: ours.code,
            theirs: theirs.code,
            texts,
        }];
    }
    let mut found = Vec::new();
    // What is said about a success is each one's own.
    if ours.code != Some(0) && texts.0 != texts.1 {
        found.push(Difference::Text {
            ours: texts.0,
            theirs: texts.1,
        });
    }
    let names = our_programs.keys().chain(their_programs.keys());
    let names: std::collections::BTreeSet<&String> = names.collect();
    for name in names {
        match (our_programs.get(name), their_programs.get(name)) {
            (Some(ours), Some(theirs)) if ours == theirs => {}
            (Some(_), Some(_)) => found.push(Difference::Bytes { name: name.clone() }),
            (ours, _) => found.push(Difference::Missing {
                name: name.clone(),
                ours: ours.is_some(),
            }),
        }
    }
    found
}
