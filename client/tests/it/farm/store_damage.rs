//! Blobs that get lost or damaged while a build runs: they are made again.

use std::fs;
use std::path::{Path, PathBuf};

use super::under_way::Build;
use crate::harness::{FARM, Farm, Site, is_what_go_builds, summary};

#[test]
fn blobs_vanish_from_the_store() {
    let build = Build::begin(2);
    // Every third: sources, export data, objects, tools.
    for blob in blobs(&build.farm.path("store/cas")).iter().step_by(3) {
        fs::remove_file(blob).unwrap();
    }
    build.ends_well();
}

#[test]
fn a_blob_in_a_workers_cache_is_damaged() {
    let site = Site::new().slow_module(1);
    let farm = Farm::start(&site, FARM);
    farm.submit(&site, &[]).run().ok();
    for number in 0..FARM.workers {
        for blob in blobs(&farm.worker_cache(number).join("cas")) {
            // Another file in its place, since the blob may be one with that of the store.
            let mut bytes = fs::read(&blob).unwrap();
            bytes.iter_mut().for_each(|byte| *byte ^= 0x55);
            fs::remove_file(&blob).unwrap();
            fs::write(&blob, bytes).unwrap();
        }
    }
    site.replace(
        "quick/quick.go",
        "package quick\n",
        "package quick\n\nvar New = 1\n",
    );
    farm.submit(&site, &[]).run().ok();
    assert!(summary(&site).actions.executed > 0);
    is_what_go_builds(&site, "bin/m");
}

/// All blobs of a store, in the order of their digests.
fn blobs(cas: &Path) -> Vec<PathBuf> {
    let folders = fs::read_dir(cas).into_iter().flatten().flatten();
    let mut blobs: Vec<PathBuf> = folders
        .flat_map(|folder| fs::read_dir(folder.path()).into_iter().flatten().flatten())
        .map(|entry| entry.path())
        .collect();
    blobs.sort();
    blobs
}
