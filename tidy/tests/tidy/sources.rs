//! Sources: how long, how called, and under which lints.

use std::collections::BTreeSet;

use toml::Table;

use crate::repository::{files, members, page};

/// A file of one concept is rarely longer.
const LINES: usize = 450;
/// None is longer than this, whatever it is about.
const MOST_LINES: usize = 650;

/// Longer files, and why they are.
const LONGER: [(&str, &str); 12] = [
    (
        "engine/src/core/spec.rs",
        "one check of what is submitted, a fifth of it tests",
    ),
    ("identity/src/listing.rs", "one concept and its tests"),
    (
        "plan/src/action/command.rs",
        "one sort of command beside the other, each short",
    ),
    (
        "plan/src/cc/linking.rs",
        "what one program, the C linker, reads",
    ),
    ("plan/src/dryrun/script.rs", "one parser and its tests"),
    ("scheduler/src/leases/tests.rs", "tests of one service"),
    (
        "scheduler/src/redis/registry/mod.rs",
        "one trait with many calls, each a script",
    ),
    ("scheduler/src/registry/tests/mod.rs", "tests of one trait"),
    (
        "scheduler/tests/process/seeing.rs",
        "what one process shows: metrics, log, spans",
    ),
    (
        "tests/e2e/kept_plans/named.rs",
        "faults that were found, one after the other",
    ),
    ("worker/tests/it/remote.rs", "tests of one process"),
    ("worker/tests/it/steps.rs", "tests of one sort of action"),
];

/// Names that say nothing: what is in such a file belongs to a concept, whose name it should have.
const EMPTY_NAMES: [&str; 7] = [
    "common",
    "helper",
    "helpers",
    "misc",
    "shared_utils",
    "util",
    "utils",
];

/// Where `unsafe` may stand.
const WITH_UNSAFE: &str = "sys";

fn sources() -> impl Iterator<Item = &'static String> {
    files().iter().filter(|file| file.ends_with(".rs"))
}

#[test]
fn files_are_of_one_concept() {
    for file in sources() {
        let lines = page(file).lines().count();
        let longer = LONGER.iter().any(|(known, _)| known == file);
        let most = if longer { MOST_LINES } else { LINES };
        assert!(
            lines <= most,
            "{file} has {lines} lines, {most} are allowed: split it by concept, or say in LONGER why it is one"
        );
    }
    for (file, _) in LONGER {
        assert!(files().contains(file), "{file} of LONGER is not there");
    }
}

#[test]
fn names_say_what_is_inside() {
    for file in sources() {
        let parts = file.trim_end_matches(".rs").split('/');
        for part in parts {
            assert!(
                !EMPTY_NAMES.contains(&part),
                "{file}: {part:?} says nothing"
            );
        }
    }
}

#[test]
fn every_crate_is_under_the_lints_of_the_workspace() {
    let root: Table = page("Cargo.toml").parse().unwrap();
    let lints = &root["workspace"]["lints"];
    assert_eq!(lints["rust"]["unsafe_code"].as_str(), Some("forbid"));
    for folder in members().into_keys() {
        let manifest: Table = page(&format!("{folder}/Cargo.toml")).parse().unwrap();
        let lints = &manifest["lints"];
        if folder == WITH_UNSAFE {
            let clippy = &lints["clippy"];
            assert_eq!(clippy["undocumented_unsafe_blocks"].as_str(), Some("deny"));
        } else {
            let workspace = lints.get("workspace").and_then(|value| value.as_bool());
            assert_eq!(workspace, Some(true), "{folder}/Cargo.toml");
        }
    }
}

/// The words of a source but for those in its line comments.
pub fn words_of_code(source: &str) -> BTreeSet<String> {
    let code = source
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}
