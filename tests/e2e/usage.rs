//! Command lines that cannot be carried out.

use insta::assert_snapshot;

use crate::harness::{Site, shown};

fn refused(args: &[&str]) -> String {
    let site = Site::cold().module(&[("main.go", "package main\n\nfunc main() {}\n")]);
    let finished = site.gofarm(args).run();
    let left: Vec<_> = std::fs::read_dir(site.path("src")).unwrap().collect();
    assert_eq!(left.len(), 2, "something was written");
    shown(&site, &finished)
}

#[test]
fn an_unknown_command() {
    assert_snapshot!(refused(&["sumbit", "./..."]));
}

#[test]
fn an_unknown_flag() {
    assert_snapshot!(refused(&["submit", "-rase", "./..."]));
}

#[test]
fn a_value_that_is_none() {
    assert_snapshot!(refused(&["submit", "--timeout=5", "./..."]));
}

#[test]
fn a_flag_that_is_not_supported() {
    assert_snapshot!(refused(&["submit", "-buildmode=plugin"]));
}

#[test]
fn a_flag_behind_the_packages() {
    assert_snapshot!(refused(&["submit", "./...", "-race"]));
}

#[test]
fn a_folder_that_is_not_there() {
    let refusal = refused(&["submit", "-C", "nowhere"]);
    assert_eq!(refused(&["workers", "-C", "nowhere"]), refusal);
    assert_snapshot!(refusal);
}

#[test]
fn one_file_for_several_programs() {
    let site = Site::cold().module(&[
        ("a/main.go", "package main\n\nfunc main() {}\n"),
        ("b/main.go", "package main\n\nfunc main() {}\n"),
    ]);
    let finished = site.gofarm(&["submit", "-o", "both", "./..."]).run();
    assert_snapshot!(shown(&site, &finished));
}

#[test]
fn a_variable_that_cannot_be_understood() {
    let site = Site::cold();
    let finished = site.gofarm(&["submit"]).env("GOFARM_WORKERS", "many").run();
    assert_snapshot!(shown(&site, &finished));
}

#[test]
fn a_farm_that_is_no_url() {
    assert_snapshot!(refused(&["submit", "--server=farm:8980", "./..."]));
}

#[test]
fn a_flag_that_only_an_embedded_build_heeds() {
    assert_snapshot!(refused(&[
        "submit",
        "--server=http://farm:8980",
        "--sandbox=off",
        "./..."
    ]));
}

#[test]
fn nobody_to_leave_the_build_to() {
    assert_snapshot!(refused(&["submit", "--detach", "./..."]));
}

#[test]
fn a_farm_that_is_not_named() {
    assert_snapshot!(refused(&["builds"]));
}

#[test]
fn a_build_that_is_not_named() {
    assert_snapshot!(refused(&["logs", "-f", "--server=http://farm:8980"]));
}

#[test]
fn a_key_that_is_not_known() {
    let site = Site::cold().module(&[
        ("main.go", "package main\n\nfunc main() {}\n"),
        ("gofarm.toml", "sever = \"http://farm:8980\"\n"),
    ]);
    let finished = site.gofarm(&["submit"]).run();
    assert_snapshot!(shown(&site, &finished));
}

/// Port 1 of this machine: nobody listens there.
const NOBODY: &str = "--server=http://127.0.0.1:1";

#[test]
fn a_farm_that_cannot_be_reached() {
    assert_snapshot!(refused(&["submit", NOBODY, "--fallback=false"]));
}

#[test]
fn a_farm_that_cannot_be_reached_is_done_without() {
    let site = Site::cold().module(&[("m.go", "package m\n")]);
    let finished = site.gofarm(&["submit", NOBODY]).run().ok();
    let warnings: Vec<&str> = finished
        .stderr
        .lines()
        .filter(|line| line.ends_with("; this build goes on embedded"))
        .collect();
    assert_eq!(warnings.len(), 1, "{}", finished.stderr);
    assert!(
        finished.stderr.contains("gofarm: compiled 1 package in "),
        "{}",
        finished.stderr
    );
}
