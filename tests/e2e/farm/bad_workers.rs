//! Workers that are no good: they are left out, and the build ends.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{FARM, Farm, Recipe, Service, Site, Size, is_what_go_builds, summary};

/// So few good ones that a bad one with more slots gets tasks.
const SMALL: Size = Size {
    schedulers: 1,
    workers: 2,
    slots: 1,
    ..FARM
};

/// Whether folders can be mounted; says aloud where they cannot.
pub fn mounts_are_allowed(site: &Site) -> bool {
    let trial = ["-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"];
    let trial = site.command(Path::new("unshare"), &trial).run();
    if !trial.status.success() {
        eprintln!(
            "not tested: this machine does not allow mounts: {}",
            trial.stderr
        );
    }
    trial.status.success()
}

/// The program, with this file system mounted at its folder.
pub fn mounted(recipe: Recipe, cache: &Path, options: &str) -> Recipe {
    fs::create_dir_all(cache).unwrap();
    let script = format!(
        "mount -t tmpfs -o {options} tmpfs '{}' && exec \"$@\"",
        cache.display()
    );
    let mut args: Vec<String> = ["-rm", "sh", "-c", &script, "sh"].map(str::to_owned).into();
    args.push(recipe.program.to_string_lossy().into_owned());
    args.extend(recipe.args.iter().cloned());
    Recipe {
        program: PathBuf::from("unshare"),
        args,
        ..recipe
    }
}

/// Builds with two good workers and one whose cache folder is such a file system.
fn built_all_the_same(options: &str, complaint: &str) {
    let site = Site::new().slow_module(4);
    let mut farm = Farm::start(&site, SMALL);
    let recipe = farm.worker_recipe(&site, SMALL.workers, 2);
    let cache = farm.worker_cache(SMALL.workers);
    if !mounts_are_allowed(&site) {
        return;
    }
    let bad = mounted(recipe, &cache, options);
    farm.workers.push(Service::start(bad));
    farm.all_join(&site);
    farm.submit(&site, &[]).run().ok();
    is_what_go_builds(&site, "bin/m");
    assert_eq!(summary(&site).actions.failed, 0);
    let log = farm.workers[SMALL.workers].log();
    assert!(log.contains(complaint), "{log}");
}

#[test]
fn a_worker_that_crashes_with_every_task() {
    // No tool can be started from a folder that allows no programs.
    built_all_the_same("size=1g,noexec", "outcome=\"crashed\"");
}

#[test]
fn a_worker_whose_disk_is_full() {
    // Less than a compiler takes.
    built_all_the_same("size=8m", "the disk is full");
}
