//! GOPATH mode.

use super::quick;
use crate::specimen::Specimen;

const LIB: &str = "package lib\n\nfunc Lib() int { return 300 }\n";
const USES_LIB: &str =
    "package main\n\nimport \"example.com/lib\"\n\nfunc main() { println(lib.Lib()) }\n";

pub(super) const ALL: &[Specimen] = &[
    quick("gopath", |w| {
        w.env("GO111MODULE", "off");
        w.work_in("gopath/src/example.com/m");
        w.packages(&["./..."]);
        w.files(&[
            ("gopath/src/example.com/m/main.go", USES_LIB),
            ("gopath/src/example.com/m/a/a.go", "package a\n"),
            ("gopath/src/example.com/lib/lib.go", LIB),
        ])
    }),
    quick("gopath_vendored", |w| {
        w.env("GO111MODULE", "off");
        w.work_in("gopath/src/example.com/m");
        w.files(&[
            ("gopath/src/example.com/m/main.go", USES_LIB),
            (
                "gopath/src/example.com/m/vendor/example.com/lib/lib.go",
                "package lib\n\nfunc Lib() int { return 301 }\n",
            ),
            ("gopath/src/example.com/lib/lib.go", LIB),
        ])
    }),
    quick("gopath_of_two_folders", |w| {
        w.env("GO111MODULE", "off");
        w.env("GOPATH", "ROOT/gopath:ROOT/second");
        w.work_in("second/src/example.com/m");
        w.packages(&["example.com/m/..."]);
        w.files(&[
            ("second/src/example.com/m/main.go", USES_LIB),
            ("second/src/example.com/lib/lib.go", LIB),
            ("gopath/src/example.com/other/o.go", "package other\n"),
        ])
    }),
    quick("gopath_from_outside", |w| {
        w.env("GO111MODULE", "off");
        w.packages(&["example.com/m"]);
        w.files(&[(
            "gopath/src/example.com/m/main.go",
            "package main\n\nfunc main() { println(100) }\n",
        )])
    }),
];
