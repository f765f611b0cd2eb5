//! A store that does not keep everything.

use std::fs::{self, File, FileTimes};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::taking_back::{SMALL, operator};
use crate::harness::{Farm, Site, is_what_go_builds, summary};

/// All that is stored was last used three days ago.
fn make_old(store: &Path) {
    let then = SystemTime::now() - Duration::from_secs(3 * 24 * 60 * 60);
    for kind in ["cas", "actions"] {
        for shard in fs::read_dir(store.join(kind)).unwrap() {
            for file in fs::read_dir(shard.unwrap().path()).unwrap() {
                let file = File::open(file.unwrap().path()).unwrap();
                file.set_times(FileTimes::new().set_accessed(then)).unwrap();
            }
        }
    }
}

/// One of the blobs, always the same.
fn some_blob(store: &Path) -> PathBuf {
    let shards = fs::read_dir(store.join("cas")).unwrap();
    let blobs = shards.flat_map(|shard| fs::read_dir(shard.unwrap().path()).unwrap());
    let blobs = blobs.map(|blob| blob.unwrap().path());
    blobs
        .filter(|blob| fs::metadata(blob).unwrap().len() > 0)
        .min()
        .unwrap()
}

#[test]
fn what_was_collected_is_uploaded_and_made_again_by_the_next_build() {
    let site = Site::new().module(&[(
        "main.go",
        "package main\n\nfunc main() { println(\"kept\") }\n",
    )]);
    let folder = site.path("farm/store");
    let store = format!("file://{}", folder.display());
    let farm = Farm::with_store(&site, SMALL, &store, &[]);
    farm.submit(&site, &[]).run().ok();
    let first = summary(&site).actions;
    assert_eq!(first.executed, first.total, "{first:#?}");

    let gc = |args: &[&str]| {
        let args = [&["gc", "--store-age=1d", "--json"][..], args].concat();
        let done = operator(&site, &store, &[], &args).ok();
        let report: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
        report
    };
    assert_eq!(gc(&[])["removed"]["blobs"], 0, "all of it was just used");
    make_old(&folder);
    let would = gc(&["--dry-run"]);
    assert_eq!(would["removed"], would["before"], "{would:#}");
    assert_eq!(would["removed"]["results"], first.total, "{would:#}");
    // Using them is looking them up.
    farm.submit(&site, &[]).run().ok();
    assert_eq!(summary(&site).actions.executed, 0);
    assert_eq!(gc(&[])["removed"]["results"], 0);

    // All that it has is sound; a blob that is not is found, and repaired by the next build.
    operator(&site, &store, &[], &["fsck"]).ok();
    let blob = some_blob(&folder);
    let mut bytes = fs::read(&blob).unwrap();
    bytes[0] ^= 1;
    // Another file in its place, since the blob may be one with that of a worker's cache.
    fs::remove_file(&blob).unwrap();
    fs::write(&blob, bytes).unwrap();
    for (args, code) in [
        (&["fsck"][..], 1),
        (&["fsck", "--repair"], 1),
        (&["fsck"], 0),
    ] {
        let looked = operator(&site, &store, &[], args).code(code);
        let name = blob.file_name().unwrap().to_str().unwrap();
        let named = looked.stdout.contains(&format!("wrong blob {name}"));
        assert_eq!(named, code == 1, "{looked:?}");
    }

    make_old(&folder);
    let removed = gc(&[]);
    assert_eq!(removed["removed"], removed["before"], "{removed:#}");
    farm.submit(&site, &[]).run().ok();
    let again = summary(&site).actions;
    assert_eq!(again.executed, again.total, "{again:#?}");
    is_what_go_builds(&site, "bin/m");
}

#[test]
fn an_age_within_which_everything_is_kept_is_refused() {
    let site = Site::new();
    fs::create_dir_all(site.path("farm")).unwrap();
    let store = format!("file://{}", site.path("farm").display());
    let refused = operator(&site, &store, &[], &["gc", "--store-age=1h"]).code(2);
    assert!(refused.stderr.contains("--store-age"), "{refused:?}");
}
