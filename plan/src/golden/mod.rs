//! Dry runs of every supported Go release, recorded, and the graphs that they become (`docs/corpus.md`).
//!
//! The recordings are in `tests/golden`, the graphs in `tests/golden/graphs`. A graph is made of text and of recorded answers,
//! by no process, so it is seen at once what a change of the planner does to any release. That the text is still what go
//! prints, and that the graph makes the bytes of go, is for other tests to say.

mod cases;
mod damage;
mod record;
mod recording;
mod render;
mod replay;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use cases::CASES;
use recording::{Recording, folder, releases};

/// The releases that have to be there.
const RELEASES: [&str; 4] = ["go1.24", "go1.25", "go1.26", "go1.27"];

#[test]
fn recorded_dry_runs_become_the_graphs_that_they_became() {
    let releases = releases();
    for release in RELEASES {
        assert!(releases.iter().any(|there| there == release), "{release}");
    }
    let differ: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = releases
            .iter()
            .map(|release| scope.spawn(|| compare(release, &Recording::read(release))))
            .collect();
        let differ = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap());
        differ.collect()
    });
    assert_eq!(differ, [""; 0], "these graphs are not what they were");
}

#[test]
fn every_kept_graph_is_of_a_recorded_case() {
    let cases: BTreeSet<String> = CASES
        .iter()
        .map(|case| format!("{}.snap", case.name))
        .collect();
    let mut kept = BTreeSet::new();
    for entry in fs::read_dir(folder().join("graphs")).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_dir() {
            continue;
        }
        let names = fs::read_dir(&path).unwrap();
        let mut names: BTreeSet<String> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        // insta writes a graph that differs beside the one that is kept.
        names.retain(|name| !name.ends_with(".new"));
        assert_eq!(names, cases, "{}", path.display());
        kept.insert(path.file_name().unwrap().to_str().unwrap().to_owned());
    }
    assert_eq!(kept, BTreeSet::from_iter(releases()));
}

#[test]
fn what_no_go_prints_is_refused_in_the_words_in_which_it_was() {
    let words = damage::words(&Recording::read(RELEASES[3]));
    assert!(is_kept(&folder().join("graphs"), "damaged", &words));
}

/// `INSTA_UPDATE=always GOFARM_GOLDEN_GO=PATH/bin/go cargo test -p gofarm-plan --lib golden::record_a_release -- --ignored`
#[test]
#[ignore = "records the dry runs of the go that GOFARM_GOLDEN_GO names"]
fn record_a_release() {
    let go = std::env::var_os("GOFARM_GOLDEN_GO").expect("GOFARM_GOLDEN_GO=PATH/bin/go");
    let (release, recording) = record::record(&PathBuf::from(go));
    recording.write(&release);
    assert_eq!(compare(&release, &recording), [""; 0]);
}

/// The graphs of a release that are not those that are kept.
fn compare(release: &str, recording: &Recording) -> Vec<String> {
    let kept = folder().join("graphs").join(release);
    let mut differ = Vec::new();
    for case in &CASES {
        let plan = replay::plan(case, recording.of(case.name), &recording.answers);
        if !is_kept(&kept, case.name, &render::outcome(case, &plan)) {
            differ.push(format!("{release}/{}", case.name));
        }
    }
    differ
}

/// Whether a text is the one that is kept under this name. How it differs is printed.
fn is_kept(folder: &Path, name: &str, text: &str) -> bool {
    let mut settings = insta::Settings::new();
    settings.set_snapshot_path(folder);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let assertion = || settings.bind(|| insta::assert_snapshot!(name, text));
    catch_unwind(AssertUnwindSafe(assertion)).is_ok()
}
