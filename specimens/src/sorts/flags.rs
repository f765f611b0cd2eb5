//! Flags and settings.

use super::{A, B, MAIN, MAIN_AB, quick, slow};
use crate::specimen::Specimen;

const PROFILED: &str = "package main\n\nfunc main() { println(100) }\n";

pub(super) const ALL: &[Specimen] = &[
    quick("settings_of_go_env", |w| {
        w.files(&[(
            "home/.config/go/env",
            "GOFLAGS=-tags=extra\nCGO_ENABLED=0\n",
        )])?;
        w.module(&[
            (
                "main.go",
                "package main\n\nfunc main() { println(value) }\n",
            ),
            (
                "on.go",
                "//go:build extra\n\npackage main\n\nconst value = 1\n",
            ),
            (
                "off.go",
                "//go:build !extra\n\npackage main\n\nconst value = 2\n",
            ),
        ])
    }),
    quick("settings_in_another_file", |w| {
        w.env("GOENV", "ROOT/settings");
        w.files(&[("settings", "GOFLAGS=-ldflags=-s\n")])?;
        w.module(&[("main.go", MAIN)])
    }),
    quick("goflags", |w| {
        w.env("GOFLAGS", "-tags=extra '-ldflags=-s -w'");
        w.module(&[
            ("main.go", MAIN),
            (
                "x.go",
                "//go:build extra\n\npackage main\n\nfunc init() { println(7) }\n",
            ),
        ])
    }),
    quick("ldflags", |w| {
        w.flags(&["-ldflags=-s -w -X main.version=1.2.3 -X=example.com/m/b.C=4"]);
        w.module(&[
            ("main.go", "package main\n\nimport \"example.com/m/b\"\n\nvar version string\n\nfunc main() { println(version, b.C, b.B()) }\n"),
            ("b/b.go", "package b\n\nvar C = \"c\"\n\nfunc B() int { return 200 }\n"),
        ])
    }),
    quick("gcflags", |w| {
        w.flags(&["-gcflags=-N -l", "-gcflags=example.com/m/b=-d=panic"]);
        w.module(&[("main.go", MAIN_AB), ("a/a.go", A), ("b/b.go", B)])
    }),
    quick("cover", |w| {
        w.flags(&["-cover", "-coverpkg=example.com/m/b"]);
        w.module(&[("main.go", MAIN_AB), ("a/a.go", A), ("b/b.go", B)])
    }),
    quick("build_id_of_the_user", |w| {
        w.flags(&["-ldflags=-buildid="]);
        w.module(&[("main.go", MAIN)])
    }),
    slow("race", |w| {
        w.flags(&["-race"]);
        w.module(&[("main.go", MAIN)])
    }),
    slow("profile_named", |w| {
        w.flags(&["-pgo=cpu.pprof"]);
        w.files(&[("src/cpu.pprof", "GO PREPROFILE V1\n")])?;
        w.module(&[("main.go", PROFILED)])
    }),
    slow("profile_by_default", |w| {
        w.files(&[("src/default.pgo", "GO PREPROFILE V1\n")])?;
        w.module(&[("main.go", PROFILED)])
    }),
    slow("everything_anew", |w| {
        w.flags(&["-a"]);
        w.module(&[("main.go", MAIN)])
    }),
    slow("position_independent", |w| {
        w.flags(&["-buildmode=pie"]);
        w.module(&[("main.go", MAIN)])
    }),
];
