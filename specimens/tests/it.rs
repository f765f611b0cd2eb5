//! Every specimen can be written, and every seed is the same change everywhere.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "outside of test functions too, a test fails where it stands"
)]

use std::collections::BTreeSet;

use gofarm_specimens::{Case, Change, specimens};

#[test]
fn there_are_many_and_their_names_are_their_own() {
    let names: BTreeSet<&str> = specimens().iter().map(|specimen| specimen.name).collect();
    assert_eq!(names.len(), specimens().len());
    assert!(names.len() >= 60, "{}", names.len());
}

#[test]
fn every_specimen_is_written_in_any_folder() {
    for specimen in specimens() {
        let dir = tempfile::tempdir().unwrap();
        let written = specimen.write(&dir.path().join("a b")).unwrap();
        assert!(written.folder.is_dir(), "{}", specimen.name);
    }
}

#[test]
fn a_seed_is_the_same_change_in_every_folder() {
    let among = specimens();
    let mut kinds = BTreeSet::new();
    for seed in 0..60 {
        let both = [(); 2].map(|()| {
            let dir = tempfile::tempdir().unwrap();
            let mut case = Case::of(seed, &among).unwrap();
            let mut written = case.specimen.write(&dir.path().join("s")).unwrap();
            let change = Change::random(&written, &mut case.random).unwrap();
            change.apply(&mut written).unwrap();
            (case.to_string(), change)
        });
        assert_eq!(both[0], both[1]);
        kinds.insert(both[0].1.what.clone());
    }
    assert!(kinds.len() > 40, "{kinds:#?}");
}
