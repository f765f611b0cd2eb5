//! `-toolexec`: a program that starts the tools of Go.

use std::fs;
use std::path::PathBuf;

use crate::harness::{FARM, Farm, Invocation, Site, Size, built_by_both, same};

/// What it does is said by its first argument.
const WRAPPER: &str = r#"package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

const edition = "one"

func main() {
	mode, args := os.Args[1], os.Args[2:]
	tool := filepath.Base(args[0])
	ofMain := os.Getenv("TOOLEXEC_IMPORTPATH") == "example.com/m"
	switch {
	case mode == "version" && len(args) == 2 && args[1] == "-V=full":
		said, err := exec.Command(args[0], args[1:]...).Output()
		if err != nil {
			panic(err)
		}
		fmt.Println(strings.TrimSpace(string(said)), "wrapped", edition)
		return
	case mode == "version" && tool == "compile" && strings.HasPrefix(os.Getenv("TOOLEXEC_IMPORTPATH"), "example.com/m"):
		args = append([]string{args[0], "-N", "-l"}, args[1:]...)
	case mode == "fail" && tool == "compile" && ofMain && args[1] != "-V=full":
		fmt.Println("the wrapper does not like", os.Getenv("TOOLEXEC_IMPORTPATH"))
		os.Exit(3)
	case mode == "silent" && tool == "compile" && ofMain && args[1] != "-V=full":
		os.Exit(3)
	}
	path, err := exec.LookPath(args[0])
	if err != nil {
		panic(err)
	}
	panic(syscall.Exec(path, args, os.Environ()))
}
"#;

/// A module, and a wrapper that needs nothing but itself. It is declared.
fn site(files: &[(&str, &str)]) -> Site {
    let site = Site::new().module(files);
    site.write("../wrapper/go.mod", "module wrapper\n\ngo 1.24\n");
    make_wrapper(&site, WRAPPER);
    site.write("gofarm.toml", "toolexec = \"../tools/wrap\"\n");
    site.age();
    site
}

fn make_wrapper(site: &Site, text: &str) {
    site.write("../wrapper/main.go", text);
    let args = [
        "build",
        "-trimpath",
        "-buildvcs=false",
        "-o",
        "../tools/wrap",
    ];
    site.go(&args)
        .env("CGO_ENABLED", "0")
        .folder(&site.path("wrapper"))
        .run()
        .ok();
}

fn wrapper(site: &Site) -> PathBuf {
    site.path("tools/wrap")
}

fn flag(site: &Site, mode: &str) -> String {
    format!("-toolexec={} {mode}", wrapper(site).display())
}

const MAIN: &str = "package main\n\nimport \"example.com/m/lib\"\n\nfunc main() { println(lib.F(), g()) }\n\nfunc g() int { return 2 }\n";
const LIB: &str = "package lib\n\nfunc F() int { return f() }\n\nfunc f() int { return 1 }\n";

/// An archive of one package, made by both.
#[track_caller]
fn archive_by_both(site: &Site, args: &[&str]) -> Vec<u8> {
    let run = |command: fn(&Site, &[&str]) -> Invocation, first: &[&str]| {
        let all: Vec<&str> = first.iter().chain(args).copied().chain(["./lib"]).collect();
        command(site, &all).run().ok();
    };
    run(Site::gofarm, &["submit", "-o", "../ours.a"]);
    run(Site::go, &["build", "-trimpath", "-o", "../theirs.a"]);
    same(&site.path("ours.a"), &site.path("theirs.a"));
    fs::read(site.path("ours.a")).unwrap()
}

#[test]
fn a_wrapper_that_changes_nothing() {
    let site = site(&[
        (
            "main.go",
            "package main\n\n// int f(void);\nimport \"C\"\n\nimport (\n\t\"example.com/m/lib\"\n\t\"example.com/m/asm\"\n)\n\nfunc main() { println(lib.F(), C.f(), asm.A()) }\n",
        ),
        ("f.c", "int f(void) { return 3; }\n"),
        ("lib/lib.go", LIB),
        ("asm/asm.go", "package asm\n\nfunc A() int\n"),
        (
            "asm/a_amd64.s",
            "TEXT \u{b7}A(SB), 4, $0-8\n\tMOVQ $4, ret+0(FP)\n\tRET\n",
        ),
        (
            "asm/a_arm64.s",
            "TEXT \u{b7}A(SB), 4, $0-8\n\tMOVD $4, R0\n\tMOVD R0, ret+0(FP)\n\tRET\n",
        ),
    ]);
    let flag = flag(&site, "pass");
    let program = built_by_both(&site, &[], &[&flag]);
    assert_eq!(site.command(&program, &[]).run().ok().stderr, "1 3 4\n");
    let summary = site.submit(&["-o", "ours", &flag]);
    assert!(summary.plan_reused);
    assert_eq!(summary.actions.executed, 0);
    // Without the wrapper they are other actions, which make the same.
    built_by_both(&site, &[], &[]);
}

#[test]
fn a_wrapper_with_versions_and_flags_of_its_own() {
    let site = site(&[("lib/lib.go", LIB)]);
    let plain = archive_by_both(&site, &[]);
    let flag = flag(&site, "version");
    let wrapped = archive_by_both(&site, &[&flag]);
    assert_ne!(plain, wrapped);
    // In GOFLAGS it is the same.
    let goflags = format!("'{flag}'");
    fs::remove_file(site.path("ours.a")).unwrap();
    site.gofarm(&["submit", "-o", "../ours.a", "./lib"])
        .env("GOFLAGS", &goflags)
        .run()
        .ok();
    assert!(fs::read(site.path("ours.a")).unwrap() == wrapped);
}

#[test]
fn a_wrapper_of_which_a_program_is_made() {
    let site = site(&[("main.go", MAIN), ("lib/lib.go", LIB)]);
    let flag = flag(&site, "version");
    built_by_both(&site, &[], &[&flag]);
}

#[test]
fn a_wrapper_that_is_another_one_now() {
    let site = site(&[("lib/lib.go", LIB)]);
    let flag = flag(&site, "version");
    let before = archive_by_both(&site, &[&flag]);
    assert!(
        site.submit(&["-o", "../ours.a", &flag, "./lib"])
            .plan_reused
    );
    make_wrapper(&site, &WRAPPER.replace("\"one\"", "\"two\""));
    assert_ne!(archive_by_both(&site, &[&flag]), before);
}

#[test]
fn a_wrapper_that_fails() {
    let site = site(&[("main.go", MAIN), ("lib/lib.go", LIB)]);
    let both = |mode| {
        let flag = flag(&site, mode);
        let go = site.go(&["build", "-trimpath", &flag]).run().code(1);
        let gofarm = site.gofarm(&["submit", &flag]).run().code(1);
        (gofarm.diagnostics(), go.stderr)
    };
    let (ours, theirs) = both("fail");
    assert_eq!(ours, theirs);
    // Of an action that says nothing it is not known which of its programs failed.
    let (ours, theirs) = both("silent");
    let named = format!("{}: ", wrapper(&site).display());
    assert_eq!(ours, theirs.replace(&named, ""));
}

#[test]
fn a_wrapper_that_is_not_there() {
    let site = site(&[("lib/lib.go", LIB)]);
    for flag in ["-toolexec=nosuchwrapper", "-toolexec=/no/such/wrapper -x"] {
        let go = site
            .go(&["build", "-trimpath", flag, "./lib"])
            .run()
            .code(1);
        let gofarm = site.gofarm(&["submit", flag, "./lib"]).run().code(1);
        assert_eq!(gofarm.diagnostics(), go.stderr);
    }
}

#[test]
fn a_wrapper_that_is_not_declared() {
    let site = site(&[("lib/lib.go", LIB)]);
    fs::remove_file(site.src("gofarm.toml")).unwrap();
    let flag = flag(&site, "pass");
    let refused = site.gofarm(&["submit", &flag, "./lib"]).run().code(2);
    let program = wrapper(&site);
    let line = format!("\ttoolexec = [\"{}\"]\n", program.display());
    assert!(
        refused.stderr.ends_with(&line) && refused.stderr.contains("is not declared"),
        "{}",
        refused.stderr
    );
    site.write("gofarm.toml", line.trim_start());
    site.submit(&[&flag, "./lib"]);
}

/// The worker has the program from the farm's store, and finds nothing of the client's machine.
#[test]
fn a_wrapper_on_a_farm() {
    let site = site(&[("lib/lib.go", LIB)]);
    let size = Size {
        schedulers: 1,
        workers: 1,
        ..FARM
    };
    let farm = Farm::start(&site, size);
    let flag = flag(&site, "version");
    let args = ["-o", "../ours.a", &flag, "./lib"];
    farm.submit(&site, &args).run().ok();
    site.go(&["build", "-trimpath", "-o", "../theirs.a", &flag, "./lib"])
        .run()
        .ok();
    same(&site.path("ours.a"), &site.path("theirs.a"));
}
