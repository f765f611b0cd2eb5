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
    assert_snapshot!(refused(&["submit", "-C", "nowhere"]));
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
