//! What is built again after a change, and what is not.

use crate::harness::Site;

/// A text in a function body of the example's bottom package, which all four programs print.
const SENTENCE: &str = "check the name for a typing error";

#[test]
fn an_edit_in_a_body_costs_one_compile_and_the_links() {
    let site = Site::new();
    site.example("monorepo");
    site.submit(&["./..."]);
    // A sentence that no earlier run has built.
    let sentence = format!("look at {:?}", site.path("").display().to_string());
    let escaped = sentence.replace('"', "'");
    site.replace("internal/fault/fault.go", SENTENCE, &escaped);
    let edited = site.submit(&["./..."]);
    assert_eq!(edited.actions.executed, 5, "{edited:#?}");
    assert_eq!(
        (edited.executed("compile"), edited.executed("link")),
        (1, 4)
    );
    assert_eq!(edited.actions.cached, edited.actions.total - 5);
    assert!(edited.plan_reused, "{edited:#?}");

    site.replace("internal/fault/fault.go", &escaped, SENTENCE);
    let reverted = site.submit(&["./..."]);
    assert_eq!(reverted.actions.executed, 0, "{reverted:#?}");
    assert_eq!(reverted.actions.cached, reverted.actions.total);
}

#[test]
fn an_edit_that_importers_see_costs_their_compiles() {
    let name = format!("Name{}", std::process::id());
    let site = Site::new().module(&[
        (
            "main.go",
            "package main\n\nimport \"example.com/m/a\"\n\nfunc main() { a.A() }\n",
        ),
        (
            "a/a.go",
            "package a\n\nimport \"example.com/m/b\"\n\nfunc A() { b.B() }\n",
        ),
        ("b/b.go", "package b\n\nfunc B() {}\n"),
        ("c/c.go", "package c\n"),
    ]);
    site.submit(&["./..."]);
    site.write(
        "b/b.go",
        &format!("package b\n\nfunc {name}() {{}}\n\nfunc B() {{}}\n"),
    );
    let edited = site.submit(&["./..."]);
    // a inlines B, so what main sees of a has changed, too.
    assert!((2..=3).contains(&edited.executed("compile")), "{edited:#?}");
    assert_eq!(edited.executed("link"), 1);
}

#[test]
fn nothing_changed() {
    let site = Site::new();
    site.example("monorepo");
    let first = site.submit(&["./..."]);
    assert_eq!(first.actions.executed, 0, "{first:#?}");
    assert!(!first.plan_reused);
    let second = site.submit(&["./..."]);
    assert_eq!(second.actions.executed, 0);
    assert_eq!(second.actions.cached, second.actions.total);
    assert!(second.plan_reused, "{second:#?}");
}

#[test]
fn a_copy_in_another_folder_is_built_already() {
    let site = Site::new();
    site.example("monorepo");
    let here = site.submit(&["./..."]);
    let folder = site.copy_to("elsewhere");
    let there = site.submit_in(&folder, &["./..."]);
    assert_eq!(there.actions.executed, 0, "{there:#?}");
    assert_eq!(there.actions.total, here.actions.total);
    for program in ["invoice", "report", "shopctl", "shopd"] {
        let ours = std::fs::read(site.src("bin").join(program)).unwrap();
        let theirs = std::fs::read(folder.join("bin").join(program)).unwrap();
        assert!(ours == theirs, "{program}");
    }
}

#[test]
fn no_cache_executes_everything_again() {
    let site = Site::cold().module(&[
        ("a/a.go", "package a\n\nfunc A() int { return 1 }\n"),
        ("b/b.go", "package b\n\nfunc B() int { return 2 }\n"),
    ]);
    for flag in ["--no-cache", "-a"] {
        site.submit(&["./a", "./b"]);
        let again = site.submit(&[flag, "./a", "./b"]);
        assert_eq!(again.actions.executed, again.actions.total);
        assert_eq!(again.actions.cached, 0);
    }
}
