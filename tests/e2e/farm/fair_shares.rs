//! The slots of a farm are shared between users, whoever came first and however much they ask for.

use nix::sys::signal::Signal;

use crate::harness::{FARM, Farm, SLOW_PRINTS, Site, Size, is_what_go_builds};

/// Of the large build.
const PACKAGES: usize = 12;

#[test]
fn a_small_build_does_not_wait_for_the_large_one_of_another_user() {
    let large = Site::new().slow_module(PACKAGES);
    let size = Size {
        schedulers: 1,
        workers: 1,
        slots: 1,
        ..FARM
    };
    let farm = Farm::start(&large, size);
    let worker = &farm.workers[0];
    let begun = farm.submit(&large, &[]).env("GOFARM_USER", "ann").start();
    let first = worker.says(&["leased", "compile example.com/m/slow"]);
    let (_, package) = first.split_once("compile ").unwrap();
    let (package, _) = package.split_once('"').unwrap();
    let compiler = worker.runs(&["/compile", package]);
    compiler.signal(Signal::SIGSTOP);

    // Less work than any package of the other, so that nothing but fairness brings it forward: one after the other.
    let small = Site::new();
    let unique = small.path("").display().to_string();
    let small = small.module(&[
        ("main.go", "package main\n\nimport \"example.com/m/upper\"\n\nfunc main() { println(upper.Text()) }\n"),
        ("upper/upper.go", "package upper\n\nimport \"example.com/m/lower\"\n\nfunc Text() string { return lower.Text }\n"),
        ("lower/lower.go", &format!("package lower\n\nvar Text = {unique:?}\n")),
    ]);
    let running = farm.submit(&small, &[]).env("GOFARM_USER", "bob").start();
    farm.are_open(&small, 2);
    compiler.signal(Signal::SIGCONT);
    running.wait().ok();
    begun.wait().ok();

    // The first link is that of the small build: the other one comes after all packages of the large one.
    let done = worker.lines_with(&["reported", "succeeded"]);
    let link = done.iter().position(|line| line.contains("\"link "));
    let before = done[..link.unwrap()].iter();
    let before = before.filter(|line| line.contains("example.com/m/slow"));
    // What ran when it came; and for each of its three packages and its link one that was just begun, and one that was
    // taken ahead.
    assert!(before.count() <= 1 + 2 * 4, "{done:#?}");
    for (site, prints) in [(&large, SLOW_PRINTS), (&small, &*format!("{unique}\n"))] {
        is_what_go_builds(site, "bin/m");
        let ran = site.command(&site.src("bin/m"), &[]).run().ok();
        assert_eq!(ran.stderr, prints);
    }
}
