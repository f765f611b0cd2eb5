//! Workers, schedulers and Redis die, stop and come back while a build runs: it ends with the right program.

use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::under_way::Build;
use crate::harness::{LEASE_TTL, clock, eventually, time_of};

/// Slow packages of the module that most of these tests build: one for each worker.
const PACKAGES: usize = 4;

#[test]
fn a_killed_workers_task_is_leased_elsewhere_within_a_second_of_its_lease() {
    // Half of the workers are idle.
    let mut build = Build::begin(2);
    let killed = clock();
    let killed_worker = build.worker;
    build.farm.workers[killed_worker].kill();
    build.compiler.assert_gone();
    let others = build.farm.workers.iter().enumerate();
    let others: Vec<_> = others.filter(|(n, _)| *n != killed_worker).collect();
    let later = eventually(
        || "no other worker takes it".to_owned(),
        || {
            let leased = ["leased", "compile example.com/m/slow0\""];
            let mut lines = others.iter().flat_map(|(_, w)| w.lines_with(&leased));
            lines.find_map(|line| time_of(&line).after(killed))
        },
    );
    assert!(later < LEASE_TTL + Duration::from_secs(1), "{later:?}");
    build.ends_well();
}

#[test]
fn a_worker_stops_for_longer_than_its_lease_and_goes_on() {
    let build = Build::begin(PACKAGES);
    let worker = &build.farm.workers[build.worker];
    // The worker alone: its compiler goes on, and is done when the worker wakes.
    worker.signal(Signal::SIGSTOP);
    build.go_on();
    thread::sleep(LEASE_TTL + Duration::from_secs(2));
    worker.signal(Signal::SIGCONT);
    build.ends_well();
}

#[test]
fn the_owning_scheduler_is_killed() {
    let mut build = Build::begin(PACKAGES);
    build.owner().kill();
    build.ends_well();
}

#[test]
fn all_schedulers_are_started_again() {
    let mut build = Build::begin(PACKAGES);
    for scheduler in &mut build.farm.schedulers {
        scheduler.kill();
    }
    build.go_on();
    thread::sleep(Duration::from_millis(500));
    for scheduler in &mut build.farm.schedulers {
        scheduler.start_again();
    }
    build.ends_well();
}

#[test]
fn redis_loses_everything() {
    let build = Build::begin(PACKAGES);
    assert_eq!(build.farm.redis.command("FLUSHALL"), "+OK");
    build.ends_well();
}

#[test]
fn redis_is_killed_and_starts_empty() {
    let mut build = Build::begin(PACKAGES);
    let redis = &mut build.farm.redis;
    redis.kill();
    build.compiler.signal(Signal::SIGCONT);
    thread::sleep(Duration::from_millis(500));
    redis.start_again();
    build.ends_well();
}

#[test]
fn redis_pauses_for_15_seconds() {
    let build = Build::begin(PACKAGES);
    assert_eq!(build.farm.redis.command("CLIENT PAUSE 15000 ALL"), "+OK");
    build.ends_well();
}

#[test]
fn redis_stops_for_15_seconds() {
    let build = Build::begin(PACKAGES);
    build.farm.redis.signal("STOP");
    build.go_on();
    thread::sleep(Duration::from_secs(15));
    build.farm.redis.signal("CONT");
    build.ends_well();
}

#[test]
fn a_worker_drains_on_sigterm() {
    let mut build = Build::begin(PACKAGES);
    let worker = build.worker;
    build.farm.workers[worker].signal(Signal::SIGTERM);
    build.farm.workers[worker].says(&["draining"]);
    build.go_on();
    let status = build.farm.workers[worker].ended();
    assert_eq!(status.code(), Some(0));
    // It has finished what it had begun.
    let ended = ["reported", "compile example.com/m/slow0", "succeeded"];
    build.farm.workers[worker].says(&ended);
    build.ends_well();
}

#[test]
fn the_compiler_of_a_package_is_killed() {
    let build = Build::begin(PACKAGES);
    build.compiler.kill();
    build.ends_well();
}
