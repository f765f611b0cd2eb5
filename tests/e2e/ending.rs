//! Builds that are ended before they are done: nothing runs on, nothing wrong is kept, and the next build goes on.

use std::fs;

use nix::sys::signal::Signal;

use crate::harness::{Finished, Process, Running, SLOW_PRINTS, Site, Summary, shown};

/// A module with a program, a package that takes a while to compile, and one below it that does not.
fn slow_module() -> Site {
    Site::new().slow_module(1)
}

/// The compiler of the slow package.
const COMPILE: &[&str] = &["/compile", "example.com/m/slow0"];

fn start(site: &Site, flags: &[&str]) -> Running {
    let flag = format!("--summary-json={}", site.path("summary.json").display());
    let mut args = vec!["submit", &flag];
    args.extend(flags);
    site.gofarm(&args).start()
}

/// Waits for the compiler of the slow package, and has it stand still: however slow this machine and quick the compiler, what
/// a test does it does meanwhile.
fn compiling(running: &mut Running) -> Process {
    let compiler = running.child_with(COMPILE);
    compiler.signal(Signal::SIGSTOP);
    compiler
}

/// The next build has what the first one finished, and makes a program that works.
fn goes_on(site: &Site) {
    let summary = site.submit(&[]);
    let counts = &summary.actions;
    assert_eq!(
        (counts.executed, counts.cached),
        (3, counts.total - 3),
        "{summary:#?}"
    );
    let ran: Finished = site.command(&site.src("bin/m"), &[]).run().ok();
    assert_eq!(ran.stderr, SLOW_PRINTS);
}

/// Nothing of the build is left, neither processes nor files of actions.
fn nothing_left(site: &Site, family: &[Process]) {
    assert!(
        family.len() >= 3,
        "gofarm, a launcher and a compiler: {family:#?}"
    );
    for process in family {
        process.assert_gone();
    }
    assert!(!site.src("bin").exists());
}

#[test]
fn an_interrupt() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let site = slow_module();
        let mut running = start(&site, &[]);
        compiling(&mut running);
        let family = running.family();
        running.signal(signal);
        let finished = running.wait().code(130);
        nothing_left(&site, &family);
        assert!(
            finished.stderr.starts_with("gofarm: interrupted after "),
            "{}",
            finished.stderr
        );
        let summary = Summary::read(&site.path("summary.json"));
        assert_eq!(summary.result, "cancelled");
        assert_eq!(
            (summary.actions.executed, summary.actions.failed),
            (1, 0),
            "{summary:#?}"
        );
        goes_on(&site);
    }
}

#[test]
fn a_killed_gofarm() {
    let site = slow_module();
    let mut running = start(&site, &[]);
    compiling(&mut running);
    let family = running.family();
    running.signal(Signal::SIGKILL);
    running.wait();
    nothing_left(&site, &family);
    goes_on(&site);
}

#[test]
fn time_is_up() {
    let site = slow_module();
    let mut running = start(&site, &["--timeout=1200ms"]);
    let family = running.family();
    // On a slow machine the time is up before.
    let compiled = running.maybe_child_with(COMPILE);
    if let Some(compiler) = &compiled {
        compiler.signal(Signal::SIGSTOP);
    }
    let finished = running.wait().code(124);
    assert!(
        finished.stderr.contains("gofarm: timed out after "),
        "{}",
        finished.stderr
    );
    for process in family.into_iter().chain(compiled) {
        process.assert_gone();
    }
    assert!(!site.src("bin").exists());
    let summary = Summary::read(&site.path("summary.json"));
    assert_eq!(summary.result, "cancelled");
    site.submit(&[]);
}

#[test]
fn time_is_up_while_planning() {
    let site = slow_module();
    let finished = start(&site, &["--timeout=1ms"]).wait().code(124);
    assert!(finished.stderr.contains("timed out"), "{}", finished.stderr);
    assert_eq!(
        Summary::read(&site.path("summary.json")).result,
        "cancelled"
    );
}

#[test]
fn a_killed_tool_is_tried_again_alone() {
    let site = slow_module();
    let mut running = start(&site, &[]);
    let first = running.child_with(COMPILE);
    first.kill();
    first.assert_gone();
    running.wait().ok();
    let summary = Summary::read(&site.path("summary.json"));
    assert_eq!(
        (summary.actions.executed, summary.actions.failed),
        (4, 0),
        "{summary:#?}"
    );
    assert_eq!(
        site.command(&site.src("bin/m"), &[]).run().ok().stderr,
        SLOW_PRINTS
    );
}

#[test]
fn a_tool_that_is_killed_twice_ran_out_of_memory() {
    let site = slow_module();
    let mut running = start(&site, &[]);
    for _ in 0..2 {
        let compiler = running.child_with(COMPILE);
        compiler.kill();
        compiler.assert_gone();
    }
    let finished = running.wait().code(3);
    insta::assert_snapshot!(shown(&site, &finished));
    assert!(!site.src("bin").exists());
    goes_on(&site);
}

#[test]
fn two_builds_at_once_on_one_fresh_cache() {
    let site = Site::own_cache().module(&[
        (
            "main.go",
            "package main\n\nimport \"example.com/m/a\"\n\nfunc main() { println(a.Text()) }\n",
        ),
        (
            "a/a.go",
            "package a\n\nfunc Text() string { return \"both\" }\n",
        ),
    ]);
    let other = site.copy_to("other");
    let first = site.gofarm(&["submit"]).start();
    let second = site.gofarm(&["submit"]).folder(&other).start();
    for running in [first, second] {
        let finished = running.wait().ok();
        assert_eq!(finished.diagnostics(), "", "{}", finished.stderr);
    }
    site.go(&["build", "-trimpath", "-o", "theirs", "."])
        .run()
        .ok();
    let theirs = fs::read(site.src("theirs")).unwrap();
    assert!(fs::read(site.src("bin/m")).unwrap() == theirs);
    assert!(fs::read(other.join("bin/m")).unwrap() == theirs);
    let again = site.submit(&[]);
    assert_eq!(again.actions.executed, 0, "{again:#?}");
    for folder in ["quarantine", "findings"] {
        assert_eq!(
            fs::read_dir(site.cache().join(folder)).unwrap().count(),
            0,
            "{folder}"
        );
    }
}
