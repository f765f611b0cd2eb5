//! Hosts of workers are cut off from the farm and come back: packets vanish, and nobody is told.

use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::under_way::Build;
use crate::harness::{FARM, Farm, Hosts, LEASE_TTL, Service, Site, Size, eventually};

/// Longer than a connection is kept whose other end is silent.
const UNTIL_GIVEN_UP: Duration = Duration::from_secs(12);

/// Packages that need `slow0` and `slow1`.
const UPPER: [&str; 3] = [
    "example.com/m/slow2",
    "example.com/m/slow3",
    "example.com/m/slow4",
];

/// A farm with workers of one slot each, so many on each of these hosts.
fn farm(site: &Site, size: Size, hosts: &Hosts, workers: &[usize]) -> Farm {
    let mut farm = Farm::start(site, Size { workers: 0, ..size });
    let listener = hosts.listen();
    let url = format!("http://{}", listener.local_addr().unwrap());
    farm.answers_at(listener);
    for (host, workers) in workers.iter().enumerate() {
        for _ in 0..*workers {
            let recipe = farm.worker_of(&url, site, farm.workers.len(), 1);
            farm.workers.push(Service::start(hosts.on(host, recipe)));
        }
    }
    farm
}

#[test]
fn a_partition_heals_mid_build() {
    let Some(hosts) = Hosts::new(2) else { return };
    // Three packages that wait for the first two.
    let site = Site::new().slow_layers(&[2, 3]);
    let farm = farm(&site, FARM, &hosts, &[1, 1]);
    let build = Build::on(site, farm);
    let [healed, other] = [build.worker, 1 - build.worker].map(|n| &build.farm.workers[n]);
    let package = "action=\"compile example.com/m/slow0\"";
    let leased = healed.lines_with(&["leased", package]);
    let (_, lease) = leased.last().unwrap().split_once("lease=").unwrap();
    let lease = format!("={} ", lease.split(' ').next().unwrap());

    hosts.cut(build.worker);
    // It comes to its end, or its worker ends it: the farm hears of neither, and has the package compiled again.
    build.go_on();
    let again = other.runs(&["/compile", "example.com/m/slow0"]);
    again.signal(Signal::SIGSTOP);
    hosts.heal(build.worker);

    // The healed worker has nothing to say about that any more.
    eventually(
        || "its lease is not over".to_owned(),
        || {
            let all = healed.lines_with(&[&lease]);
            let over = ["counts=false", "discarded", "gave up"];
            all.into_iter()
                .find(|line| over.iter().any(|word| line.contains(word)))
        },
    );
    again.signal(Signal::SIGCONT);
    // The other one stands still with its next package, and the healed one goes on with the others.
    let mut next = None;
    eventually(
        || "the healed worker does nothing".to_owned(),
        || {
            next = next.take().or_else(|| {
                let child = |package: &str| other.child_with(&["/compile", package]);
                let next = UPPER.into_iter().find_map(child);
                next.inspect(|compiler| compiler.signal(Signal::SIGSTOP))
            });
            let done = healed.lines_with(&["reported", "succeeded", "counts=true"]);
            done.into_iter()
                .find(|line| UPPER.iter().any(|package| line.contains(package)))
        },
    );
    if let Some(compiler) = next {
        compiler.signal(Signal::SIGCONT);
    }
    assert_eq!(healed.lines_with(&[&lease, "counts=true"]), [""; 0]);
    other.says(&["reported", package, "counts=true"]);
    build.ends_well();
}

/// All hosts are cut off for so long, in the middle of a build.
fn all_are_cut_off(time: Duration) -> Option<Build> {
    let hosts = Hosts::new(2)?;
    let site = Site::new().slow_module(4);
    let farm = farm(&site, FARM, &hosts, &[1, 1]);
    let build = Build::on(site, farm);
    hosts.cut(0);
    hosts.cut(1);
    build.go_on();
    thread::sleep(time);
    hosts.heal(0);
    hosts.heal(1);
    Some(build)
}

#[test]
fn all_workers_are_cut_off_for_longer_than_a_lease() {
    if let Some(build) = all_are_cut_off(LEASE_TTL + Duration::from_secs(1)) {
        build.ends_well();
    }
}

#[test]
fn all_workers_are_cut_off_until_their_connections_are_given_up() {
    if let Some(build) = all_are_cut_off(UNTIL_GIVEN_UP) {
        build.ends_well();
    }
}

#[test]
fn idle_workers_that_vanish_use_up_no_attempts() {
    let Some(hosts) = Hosts::new(2) else { return };
    let site = Site::new().slow_module(1);
    let farm = farm(&site, FARM, &hosts, &[4, 1]);
    farm.all_join(&site);
    hosts.cut(0);
    // Each task is given to one of them at most: three would be the end of the build.
    Build::on(site, farm).ends_well();
}

#[test]
fn a_cut_that_is_shorter_than_a_lease_costs_no_work() {
    let Some(hosts) = Hosts::new(2) else { return };
    let site = Site::new().slow_module(2);
    let size = Size {
        lease_ttl: Duration::from_secs(10),
        ..FARM
    };
    let farm = farm(&site, size, &hosts, &[1, 1]);
    let build = Build::on(site, farm);
    hosts.cut(0);
    hosts.cut(1);
    // The compiler does not go on meanwhile. A packet that was lost is sent again after pauses that double: some are as long as this
    // again.
    thread::sleep(size.lease_ttl / 5);
    hosts.heal(0);
    hosts.heal(1);
    let ended = build.ends_well();
    let workers = || ended.farm.workers.iter();
    let given_up = workers().flat_map(|worker| worker.lines_with(&["gave up"]));
    assert_eq!(given_up.collect::<Vec<_>>(), [""; 0]);
    let done = workers().flat_map(|worker| worker.lines_with(&["reported", "succeeded"]));
    // One that is quick, two that are slow, what imports them, and the link.
    assert_eq!(done.count(), 5);
}
