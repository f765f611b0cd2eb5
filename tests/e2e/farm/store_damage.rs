//! Blobs that get lost or damaged while a build runs: they are made again.

use std::fs;
use std::path::Path;

use gofarm_testkit::S3Server;

use super::under_way::Build;
use crate::harness::{
    FARM, Farm, Site, Size, blobs, flip, flip_copy, is_fetched_elsewhere, is_what_go_builds,
    no_findings, set_aside, summary,
};

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

/// The worker that has made or fetched a blob believes nothing but the bytes.
#[test]
fn bits_are_flipped_in_the_cache_of_a_worker_that_runs() {
    let site = Site::new().slow_module(1);
    // One worker: another one might have nothing of the first build in its cache.
    let size = Size { workers: 1, ..FARM };
    let farm = Farm::start(&site, size);
    farm.submit(&site, &[]).run().ok();
    let cache = farm.worker_cache(0);
    for blob in blobs(&cache.join("cas")) {
        flip(&blob);
    }
    // Everything of the module, and the link.
    site.replace(
        "quick/quick.go",
        "package quick\n",
        "package quick\n\nvar New = 1\n",
    );
    farm.submit(&site, &[]).run().ok();
    assert!(summary(&site).actions.executed > 1);
    is_what_go_builds(&site, "bin/m");
    assert!(set_aside(&cache) > 0);
    // What was recorded is what the same actions make once more.
    farm.submit(&site, &["-a", "-o", "again"]).run().ok();
    is_what_go_builds(&site, "again");
    no_findings(&farm.path("store"));
}

#[test]
fn bits_are_flipped_in_the_cache_of_a_worker_whose_action_runs() {
    let build = Build::begin(2);
    let cache = build.farm.worker_cache(build.worker);
    for blob in blobs(&cache.join("cas")) {
        // But for the compiler, which nobody can write to while it runs.
        flip(&blob);
    }
    let ended = build.ends_well();
    assert!(set_aside(&cache) > 0);
    no_findings(&ended.farm.path("store"));
}

#[test]
fn a_build_is_left_to_a_farm_whose_store_is_damaged() {
    let site = Site::new().slow_module(1);
    let farm = Farm::start(&site, FARM);
    farm.submit(&site, &[]).run().ok();
    for blob in blobs(&farm.path("store/cas")) {
        if only_a_client_has(&blob) {
            flip_copy(&blob);
        }
    }
    is_built_without_its_client(&site, &farm);
    assert!(set_aside(&farm.path("store")) > 0);
}

#[test]
fn a_build_is_left_to_a_farm_whose_object_store_is_damaged() {
    let site = Site::new().slow_module(1);
    let s3 = S3Server::start();
    let farm = Farm::over_s3(&site, FARM, &s3);
    farm.submit(&site, &[]).run().ok();
    let objects = s3.object("builds");
    for blob in blobs(&objects.join("cas")) {
        if only_a_client_has(&blob) {
            flip(&blob);
        }
    }
    // What schedulers and workers have of it.
    let schedulers = (0..FARM.schedulers).map(|number| farm.path(&format!("scheduler{number}")));
    let workers = (0..FARM.workers).map(|number| farm.worker_cache(number));
    for cache in schedulers.chain(workers) {
        for blob in blobs(&cache.join("cas")) {
            fs::remove_file(blob).unwrap();
        }
    }
    is_built_without_its_client(&site, &farm);
    assert!(set_aside(&objects) > 0);
}

/// Tools and sources, by how they begin.
fn only_a_client_has(blob: &Path) -> bool {
    let bytes = fs::read(blob).unwrap();
    let begins: [&[u8]; 3] = [b"\x7fELF", b"package ", b"// "];
    begins.iter().any(|begin| bytes.starts_with(begin))
}

#[track_caller]
fn is_built_without_its_client(site: &Site, farm: &Farm) {
    site.replace(
        "quick/quick.go",
        "package quick\n",
        "package quick\n\nvar New = 1\n",
    );
    let client = site.path("client");
    let left = farm
        .gofarm(site, &["submit", "--fallback=false", "--detach"])
        .env("GOFARM_CACHE_DIR", &client.to_string_lossy())
        .run()
        .ok();
    is_fetched_elsewhere(site, farm, left.stdout.trim());
}
