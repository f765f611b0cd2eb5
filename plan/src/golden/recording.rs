//! What is recorded of a Go release: for each case what cmd/go printed and what the planner was answered.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::cc::allowed::PkgConfigText;
use crate::host::Kind;

/// One release.
#[derive(Debug)]
pub(super) struct Recording {
    /// By the names of the cases.
    pub cases: BTreeMap<String, Recorded>,
    /// Of all cases: it is one machine.
    pub answers: Arc<Answers>,
}

/// One dry run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Recorded {
    /// The answer of `go env -json`.
    pub go_env: String,
    /// What the dry run printed.
    pub stderr: String,
    pub exit_code: i32,
    /// The file of -debug-actiongraph.
    pub graph: Option<String>,
}

/// What the machine answered, by the questions of [`Host`](crate::host::Host). `None` is an answer, too.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Answers {
    pub kinds: BTreeMap<String, Option<Kind>>,
    pub entries: BTreeMap<String, Option<Kind>>,
    pub real_paths: BTreeMap<String, Option<String>>,
    pub contents: BTreeMap<String, Option<String>>,
    pub names: BTreeMap<String, Option<Vec<(String, Kind)>>>,
    pub programs_found: BTreeMap<String, Option<String>>,
    pub programs: Vec<Program>,
    /// Flags of pkg-config, and what go has against them.
    #[serde(default)]
    pub judged: Vec<(PkgConfigText, Option<String>)>,
    pub toolchains: Vec<Toolchain>,
}

/// What a program said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Program {
    pub argv: Vec<String>,
    pub cwd: String,
    pub exit_code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// What a C compiler is made of, without the files on which that rests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Toolchain {
    pub compiler: Vec<String>,
    pub identity: String,
    pub name: String,
    pub folder: String,
    /// The folders in which headers are searched with all that is below, and libraries without.
    pub headers: Vec<String>,
    pub libraries: Vec<String>,
    /// By each of their names where it leads, if anywhere.
    pub searched: Vec<(String, Option<String>)>,
}

impl Answers {
    /// Adds those of another case.
    ///
    /// # Panics
    /// A question has two answers.
    pub fn add(&mut self, other: &Answers) {
        add_each(&mut self.kinds, &other.kinds);
        add_each(&mut self.entries, &other.entries);
        add_each(&mut self.real_paths, &other.real_paths);
        add_each(&mut self.contents, &other.contents);
        add_each(&mut self.names, &other.names);
        add_each(&mut self.programs_found, &other.programs_found);
        for said in &other.programs {
            let asked = |known: &&Program| (&known.argv, &known.cwd) == (&said.argv, &said.cwd);
            match self.programs.iter().find(asked) {
                Some(known) => assert_eq!(known, said),
                None => self.programs.push(said.clone()),
            }
        }
        for judged in &other.judged {
            if !self.judged.contains(judged) {
                self.judged.push(judged.clone());
            }
        }
        for found in &other.toolchains {
            if !self.toolchains.contains(found) {
                self.toolchains.push(found.clone());
            }
        }
    }
}

fn add_each<T: Clone + PartialEq + Debug>(
    to: &mut BTreeMap<String, T>,
    from: &BTreeMap<String, T>,
) {
    for (question, answer) in from {
        let known = to.entry(question.clone()).or_insert_with(|| answer.clone());
        assert_eq!(known, answer, "{question}");
    }
}

/// `plan/tests/golden`.
pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The end of the name of a recording; what stands before it is the release.
const SUFFIX: &str = ".json.zst";

/// The releases of which there is a recording.
pub(super) fn releases() -> Vec<String> {
    let entries = fs::read_dir(folder()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut releases: Vec<String> = names
        .filter_map(|name| Some(name.strip_suffix(SUFFIX)?.to_owned()))
        .collect();
    releases.sort();
    releases
}

impl Recording {
    fn file(release: &str) -> PathBuf {
        folder().join(format!("{release}{SUFFIX}"))
    }

    /// What was recorded of a case.
    pub fn of(&self, case: &str) -> &Recorded {
        let recorded = self.cases.get(case);
        recorded.unwrap_or_else(|| panic!("{case} is not recorded; record it (docs/corpus.md)"))
    }

    pub fn read(release: &str) -> Recording {
        let bytes = fs::read(Recording::file(release)).unwrap();
        let json = zstd::decode_all(bytes.as_slice()).unwrap();
        let (cases, answers): (_, Answers) = serde_json::from_slice(&json).unwrap();
        Recording {
            cases,
            answers: Arc::new(answers),
        }
    }

    /// Most of it is the standard library again and again, of which compression leaves one.
    pub fn write(&self, release: &str) {
        let json = serde_json::to_vec(&(&self.cases, &*self.answers)).unwrap();
        let bytes = zstd::encode_all(json.as_slice(), 19).unwrap();
        fs::write(Recording::file(release), bytes).unwrap();
    }
}
