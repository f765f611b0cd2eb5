//! Several clients, clients that go away, and what they leave behind.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::under_way::Build;
use crate::harness::{
    FARM, Farm, LEASE_TTL, Site, Summary, is_fetched_elsewhere, is_what_go_builds, same, time_of,
};

#[test]
fn two_clients_share_each_execution() {
    let site = Site::new().slow_module(2);
    let farm = Farm::start(&site, FARM);
    let other = site.copy_to("other");
    let start = |folder: &std::path::Path, name: &str| {
        let summary = site.path(&format!("{name}.json"));
        let flag = format!("--summary-json={}", summary.display());
        farm.gofarm(&site, &["submit", "--fallback=false", &flag])
            .env("GOFARM_CACHE_DIR", &site.path(name).to_string_lossy())
            .folder(folder)
            .start()
    };
    let first = start(&site.src(""), "first");
    let second = start(&other, "second");
    first.wait().ok();
    second.wait().ok();
    is_what_go_builds(&site, "bin/m");
    same(&site.src("bin/m"), &other.join("bin/m"));
    let [first, second] =
        ["first", "second"].map(|name| Summary::read(&site.path(&format!("{name}.json"))));
    // main, quick, two slow packages and the link.
    assert_eq!(
        first.actions.executed + second.actions.executed,
        5,
        "{first:#?} {second:#?}"
    );
    for summary in [&first, &second] {
        let actions = &summary.actions;
        let all = actions.executed + actions.cached + actions.joined;
        assert_eq!(all, actions.total, "{summary:#?}");
    }
}

#[test]
fn a_detached_build_is_attached_to_from_another_folder() {
    let site = Site::new().slow_module(2);
    let farm = Farm::start(&site, FARM);
    let finished = farm
        .gofarm(&site, &["submit", "--fallback=false", "--detach"])
        .env("GOFARM_CACHE_DIR", &site.path("client").to_string_lossy())
        .run()
        .ok();
    let build = finished.stdout.trim().to_owned();
    assert_eq!(build.len(), 32, "{finished:?}");
    is_fetched_elsewhere(&site, &farm, &build);
}

#[test]
fn an_interrupted_client_ends_what_only_it_wanted() {
    let build = Build::begin(1);
    build.running.signal(Signal::SIGINT);
    build.running.wait().code(130);
    // It cannot have come to its end by itself.
    build.compiler.assert_gone();
    let given_up = time_of(&build.farm.workers[build.worker].says(&["gave up a lease"]));
    let mut over = build
        .farm
        .schedulers
        .iter()
        .flat_map(|scheduler| scheduler.lines_with(&["build is over", "result=Cancelled"]));
    let over = time_of(&over.next().expect("the scheduler says so"));
    // Renewed three times in each time to live.
    let later = given_up.after(over).unwrap_or_default();
    let limit = LEASE_TTL / 3 + Duration::from_secs(1);
    assert!(later < limit, "{later:?}");
}
