//! Workers, schedulers and Redis die, stop and come back while a build runs: it ends with the right program.

use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::compile_of;
use crate::harness::{
    FARM, Farm, Finished, LEASE_TTL, Running, SLOW_PRINTS, Service, Site, is_what_go_builds,
    summary,
};

/// Slow packages of the module that these tests build.
const PACKAGES: usize = 4;

struct Build {
    running: Running,
    farm: Farm,
    site: Site,
}

impl Build {
    /// A build on a farm of its own, under way: a worker compiles a slow package.
    fn begin() -> Build {
        Build::begin_with(PACKAGES)
    }

    fn begin_with(packages: usize) -> Build {
        let site = Site::new().slow_module(packages);
        let farm = Farm::start(&site, FARM);
        let running = farm.submit(&site, &[]).start();
        let build = Build {
            running,
            farm,
            site,
        };
        build.compiling();
        build
    }

    /// The number of a worker that compiles a slow package now.
    fn compiling(&self) -> usize {
        self.farm.worker_with(&["/compile", "-linkobj"]).0
    }

    /// It ends well.
    #[track_caller]
    fn ends_well(self) {
        let Build {
            running,
            farm,
            site,
        } = self;
        let finished: Finished = running.wait().ok();
        is_what_go_builds(&site, "bin/m");
        let ran = site.command(&site.src("bin/m"), &[]).run().ok();
        assert_eq!(ran.stderr, SLOW_PRINTS);
        let summary = summary(&site);
        assert_eq!(summary.actions.failed, 0, "{}", finished.stderr);
        drop(farm);
    }

    /// The scheduler that owns the build.
    fn owner(&mut self) -> &mut Service {
        let output = self
            .farm
            .gofarm(&self.site, &["builds", "--open", "--json"])
            .run()
            .ok();
        let builds: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
        let owner = builds[0]["owner"].as_str().unwrap().to_owned();
        let owns = |scheduler: &&mut Service| scheduler.log().contains(&owner);
        self.farm
            .schedulers
            .iter_mut()
            .find(owns)
            .unwrap_or_else(|| panic!("nobody is {owner}"))
    }
}

#[test]
fn a_killed_workers_task_runs_elsewhere_within_a_second_of_its_lease() {
    // Half of the workers are idle.
    let mut build = Build::begin_with(2);
    let worker = build.compiling();
    let words = build.farm.workers[worker]
        .child_with(&["/compile", "-linkobj"])
        .unwrap()
        .args;
    let package = words.iter().find(|word| word.contains("/m/slow")).unwrap();
    let killed = Instant::now();
    build.farm.workers[worker].kill();
    let (other, _) = build.farm.worker_with(&["/compile", package]);
    let elsewhere = killed.elapsed();
    assert_ne!(other, worker);
    assert!(
        elsewhere < LEASE_TTL + Duration::from_secs(1),
        "{elsewhere:?}"
    );
    build.ends_well();
}

#[test]
fn a_worker_stops_for_longer_than_its_lease_and_goes_on() {
    let build = Build::begin();
    let worker = build.compiling();
    // The worker alone: its compiler goes on, and is done when the worker wakes.
    build.farm.workers[worker].signal(Signal::SIGSTOP);
    thread::sleep(LEASE_TTL + Duration::from_secs(2));
    build.farm.workers[worker].signal(Signal::SIGCONT);
    build.ends_well();
}

#[test]
fn the_owning_scheduler_is_killed() {
    let mut build = Build::begin();
    build.owner().kill();
    build.ends_well();
}

#[test]
fn all_schedulers_are_started_again() {
    let mut build = Build::begin();
    for scheduler in &mut build.farm.schedulers {
        scheduler.kill();
    }
    thread::sleep(Duration::from_millis(500));
    for scheduler in &mut build.farm.schedulers {
        scheduler.start_again();
    }
    build.ends_well();
}

#[test]
fn redis_loses_everything() {
    let build = Build::begin();
    assert_eq!(build.farm.redis.command("FLUSHALL"), "+OK");
    build.ends_well();
}

#[test]
fn redis_is_killed_and_starts_empty() {
    let mut build = Build::begin();
    let redis = &mut build.farm.redis;
    redis.service.kill();
    thread::sleep(Duration::from_millis(500));
    redis.service.start_again();
    redis.service.answers_at(redis.port);
    build.ends_well();
}

#[test]
fn redis_pauses_for_15_seconds() {
    let build = Build::begin();
    assert_eq!(build.farm.redis.command("CLIENT PAUSE 15000 ALL"), "+OK");
    build.ends_well();
}

#[test]
fn redis_stops_for_15_seconds() {
    let build = Build::begin();
    build.farm.redis.service.signal(Signal::SIGSTOP);
    thread::sleep(Duration::from_secs(15));
    build.farm.redis.service.signal(Signal::SIGCONT);
    build.ends_well();
}

#[test]
fn a_worker_drains_on_sigterm() {
    let mut build = Build::begin();
    let worker = build.compiling();
    let status = build.farm.workers[worker].terminate();
    assert_eq!(status.code(), Some(0));
    build.ends_well();
}

#[test]
fn the_compiler_of_a_package_is_killed() {
    let build = Build::begin();
    let words = compile_of(0);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (_, compiler) = build.farm.worker_with(&words);
    compiler.kill();
    build.ends_well();
}
