//! Farms of several processes: the same bytes as `go build`, and nothing lost when parts die.

mod bad_workers;
mod fair_shares;
mod full_store;
mod hostile_text;
mod no_c_toolchain;
mod partition;
mod parts_die;
mod placement;
mod retention;
mod several_addresses;
mod sharing;
mod store_damage;
mod taking_back;
mod under_way;

use gofarm_testkit::S3Server;

use crate::harness::{FARM, Farm, Site, Size, is_what_go_builds, same, summary};

/// Words in the command line of the compiler of a slow package.
fn compile_of(package: usize) -> [String; 2] {
    [
        "/compile".to_owned(),
        format!("example.com/m/slow{package}"),
    ]
}

#[test]
fn the_example_is_what_go_builds() {
    let site = Site::new();
    site.example("monorepo");
    let farm = Farm::start(&site, FARM);
    farm.submit(&site, &["./cmd/..."]).run().ok();
    let first = summary(&site);
    assert_eq!(first.actions.failed, 0, "{first:#?}");
    let theirs = site.src("theirs/");
    site.go(&["build", "-trimpath", "-o", "theirs/", "./cmd/..."])
        .run()
        .ok();
    let mut programs = 0;
    for entry in std::fs::read_dir(&theirs).unwrap() {
        let name = entry.unwrap().file_name();
        same(&site.src("bin").join(&name), &theirs.join(&name));
        programs += 1;
    }
    assert!(programs >= 4, "{programs}");
    farm.submit(&site, &["./cmd/..."]).run().ok();
    let again = summary(&site);
    assert_eq!(again.actions.executed, 0, "{again:#?}");
}

#[test]
fn a_cold_farm_builds_with_one_scheduler_and_one_worker() {
    let site = Site::new().module(&[(
        "main.go",
        "package main\n\nfunc main() { println(\"farm\") }\n",
    )]);
    let store = format!("file://{}", site.path("farm/store").display());
    let size = Size {
        schedulers: 1,
        workers: 1,
        slots: 2,
        ..FARM
    };
    let farm = Farm::with_store(&site, size, &store, &[]);
    farm.submit(&site, &[]).run().ok();
    let summary = summary(&site);
    assert_eq!(
        summary.actions.executed, summary.actions.total,
        "{summary:#?}"
    );
    is_what_go_builds(&site, "bin/m");
}

#[test]
fn a_farm_over_s3() {
    let site = Site::new().slow_module(1);
    let s3 = S3Server::start();
    let size = Size {
        schedulers: 2,
        workers: 2,
        slots: 1,
        ..FARM
    };
    let farm = Farm::over_s3(&site, size, &s3);
    farm.submit(&site, &[]).run().ok();
    is_what_go_builds(&site, "bin/m");
    site.replace(
        "quick/quick.go",
        "package quick\n",
        "package quick\n\nvar New = 1\n",
    );
    farm.submit(&site, &[]).run().ok();
    is_what_go_builds(&site, "bin/m");
    let summary = summary(&site);
    // Two packages, of which the upper one exports what it did, and the link.
    assert_eq!(summary.actions.executed, 3, "{summary:#?}");
}

#[test]
fn a_type_error_reads_as_go_build_writes_it() {
    let site = Site::new().module(&[
        ("a/a.go", "package a\n\nvar A int = \"a\"\n"),
        (
            "b/b.go",
            "package b\n\nimport \"example.com/m/a\"\n\nvar B = a.A\n",
        ),
        ("c/c.go", "package c\n\nfunc C() { undefined() }\n"),
    ]);
    let farm = Farm::start(&site, FARM);
    let ours = farm.submit(&site, &["./..."]).run().code(1);
    let theirs = site.go(&["build", "./..."]).run().code(1);
    let sorted = |text: String| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(ours.diagnostics()), sorted(theirs.stderr));
}

#[test]
fn a_farm_that_is_not_there() {
    let site = Site::new().module(&[(
        "main.go",
        "package main\n\nfunc main() { println(\"alone\") }\n",
    )]);
    let url = format!("http://127.0.0.1:{}", gofarm_testkit::free_port());
    let finished = site
        .gofarm(&["submit"])
        .env("GOFARM_SERVER", &url)
        .run()
        .ok();
    let warnings = finished.stderr.matches("goes on embedded").count();
    assert_eq!(warnings, 1, "{}", finished.stderr);
    is_what_go_builds(&site, "bin/m");
    let finished = site
        .gofarm(&["submit", "--fallback=false"])
        .env("GOFARM_SERVER", &url)
        .run()
        .code(3);
    assert!(finished.stderr.contains(&url), "{}", finished.stderr);
}
