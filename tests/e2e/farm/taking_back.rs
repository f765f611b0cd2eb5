//! Results that an operator takes back.

use gofarm_testkit::{S3Server, built};

use crate::harness::{FARM, Farm, Finished, Invocation, Site, Size, is_what_go_builds, summary};

pub const SMALL: Size = Size {
    schedulers: 1,
    workers: 1,
    slots: 2,
    ..FARM
};

/// A command of `gofarm-scheduler` on the store of a farm.
pub fn operator(site: &Site, store: &str, env: &[(&str, String)], args: &[&str]) -> Finished {
    let store = format!("--store={store}");
    let local = format!("--local-dir={}", site.path("operator").display());
    let args = [args, &[&store, &local]].concat();
    let command = Invocation::new(&built("gofarm-scheduler"), &args, &site.path("farm"));
    let command = env
        .iter()
        .fold(command, |command, (name, value)| command.env(name, value));
    command.run()
}

fn invalidate(site: &Site, store: &str, env: &[(&str, String)], args: &[&str]) -> Finished {
    operator(site, store, env, &[&["invalidate"], args].concat())
}

/// What a worker made is made again by the next build, and by that one only.
fn what_a_worker_made(site: &Site, farm: &Farm, store: &str, env: &[(&str, String)]) {
    farm.submit(site, &[]).run().ok();
    let first = summary(site).actions;
    assert_eq!(first.executed, first.total, "{first:#?}");
    farm.submit(site, &[]).run().ok();
    assert_eq!(summary(site).actions.executed, 0);

    let by_worker = ["--worker=worker0", "--since=1h"];
    let nobody = ["--worker=worker", "--since=1h"];
    let taken = invalidate(site, store, env, &nobody).ok();
    let said =
        "no result in the store was made by worker \"worker\"; there are results of \"worker0\"";
    assert!(taken.stderr.contains(said), "{taken:?}");
    let dry = [&by_worker[..], &["--dry-run", "--json"]].concat();
    let would = invalidate(site, store, env, &dry).ok();
    let would: serde_json::Value = serde_json::from_str(&would.stdout).unwrap();
    let results = would["results"].as_array().unwrap();
    assert_eq!(results.len(), first.executed as usize, "{would:#}");
    assert!(results.iter().all(|result| {
        result["worker"] == "worker0" && result["lease"].is_string() && result["replica"] != ""
    }));
    farm.submit(site, &[]).run().ok();
    assert_eq!(summary(site).actions.executed, 0);

    // One result: the first that is listed, with all that is made from nothing but it.
    let key = results[0]["key"].as_str().unwrap();
    let taken = invalidate(site, store, env, &[key]).ok();
    assert!(taken.stdout.starts_with(key), "{taken:?}");
    farm.submit(site, &[]).run().ok();
    assert_eq!(summary(site).actions.executed, 1);

    let taken = invalidate(site, store, env, &by_worker).ok();
    let lines = taken.stdout.lines().count();
    assert_eq!(lines, first.executed as usize, "{taken:?}");
    farm.submit(site, &[]).run().ok();
    let again = summary(site).actions;
    assert_eq!(again.executed, again.total, "{again:#?}");
    is_what_go_builds(site, "bin/m");
    farm.submit(site, &[]).run().ok();
    assert_eq!(summary(site).actions.executed, 0);
}

fn module() -> Site {
    Site::new().module(&[
        ("a/a.go", "package a\n\nfunc A() string { return \"a\" }\n"),
        (
            "main.go",
            "package main\n\nimport \"example.com/m/a\"\n\nfunc main() { println(a.A()) }\n",
        ),
    ])
}

#[test]
fn what_a_worker_made_is_taken_back_and_made_again_by_the_next_build() {
    let site = module();
    let store = format!("file://{}", site.path("farm/store").display());
    let farm = Farm::with_store(&site, SMALL, &store, &[]);
    what_a_worker_made(&site, &farm, &store, &[]);
}

#[test]
fn what_a_worker_made_is_taken_back_from_s3() {
    let site = module();
    let s3 = S3Server::start();
    let farm = Farm::over_s3(&site, SMALL, &s3);
    what_a_worker_made(&site, &farm, "s3://farm/builds", &s3.env());
}

#[test]
fn a_store_that_is_not_there_is_not_made() {
    let site = Site::new();
    std::fs::create_dir_all(site.path("farm")).unwrap();
    let store = format!("file://{}", site.path("nowhere").display());
    let refused = invalidate(&site, &store, &[], &[&"00".repeat(32)]).code(2);
    assert!(refused.stderr.contains("there is no store"), "{refused:?}");
    assert!(!site.path("nowhere").exists());
}
