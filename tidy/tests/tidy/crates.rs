//! Crates: which there are, and that imports between them all run one way, as docs/architecture.md says.

use std::collections::{BTreeMap, BTreeSet};

use crate::repository::{members, page};

const PAGE: &str = "docs/architecture.md";

/// The section of the page with this heading, without it.
#[track_caller]
fn section(heading: &str) -> String {
    let page = page(PAGE);
    let begin = format!("\n## {heading}\n");
    let (_, rest) = page
        .split_once(&begin)
        .unwrap_or_else(|| panic!("{PAGE} has no section {heading}"));
    rest.split("\n## ").next().unwrap().to_owned()
}

/// The words in backticks.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The rows of the table whose first heading is this, cell by cell.
fn rows(section: &str, first: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| -> Vec<String> {
        let line = line.trim().trim_matches('|');
        line.split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    section
        .lines()
        .skip_while(|line| !line.starts_with(&format!("| {first} |")))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(cells)
        .collect()
}

#[test]
fn every_crate_stands_in_the_table() {
    let rows = rows(&section("Crates"), "crate");
    let listed: Vec<&str> = rows.iter().flat_map(|row| names(&row[0])).collect();
    let there: BTreeSet<&str> = members().into_keys().collect();
    assert_eq!(listed.iter().copied().collect::<BTreeSet<_>>(), there);
    assert_eq!(listed.len(), there.len(), "one of them stands there twice");
}

#[test]
fn imports_run_one_way() {
    let rows = rows(&section("Crates"), "layer");
    let mut layers = BTreeMap::new();
    for (layer, row) in rows.iter().enumerate() {
        for name in names(&row[1]) {
            assert_eq!(
                layers.insert(name, layer),
                None,
                "{name} stands in two layers"
            );
        }
    }
    let there: BTreeSet<&str> = members().into_keys().collect();
    assert_eq!(layers.keys().copied().collect::<BTreeSet<_>>(), there);
    let folders: BTreeMap<&str, &str> = members()
        .into_iter()
        .map(|(folder, package)| (package.name.as_str(), folder))
        .collect();
    for (folder, package) in members() {
        for dependency in &package.dependencies {
            // Tests stand above everything.
            let Some(below) = folders.get(dependency.name.as_str()) else {
                continue;
            };
            assert!(
                dependency.is_for_tests || layers[below] < layers[folder],
                "{folder} imports {below}, which stands in no row above it in the layers of {PAGE}"
            );
        }
    }
}

#[test]
fn packages_are_called_as_their_folders() {
    for (folder, package) in members() {
        assert_eq!(package.name, format!("gofarm-{folder}"));
    }
}
