//! The builds whose dry runs are recorded.

use crate::request::PlanRequest;

/// Below which everything of the machine stands in a recording, and in the cases: `goroot`, `modules`.
pub(super) const ROOT: &str = "/golden";

/// One build of a module of `tests/golden/modules`.
pub(super) struct Case {
    /// Also the name of its graph.
    pub name: &'static str,
    /// Where go is started, below `modules`.
    pub folder: &'static str,
    /// What of the environment differs.
    pub env: &'static [(&'static str, &'static str)],
    pub flags: &'static [&'static str],
    pub output: Option<&'static str>,
    pub packages: &'static [&'static str],
    pub trimpath: bool,
    /// The packages of the standard library that are shown in full.
    pub std: Shown,
}

/// Which packages of the standard library are shown in full; of the others there is a digest, because each case has all of them.
#[derive(Clone, Copy)]
pub(super) enum Shown {
    All,
    These(&'static [&'static str]),
}

const USUAL: Case = Case {
    name: "",
    folder: "",
    env: &[],
    flags: &[],
    output: None,
    packages: &[],
    trimpath: true,
    std: Shown::These(&[]),
};

const fn module(name: &'static str) -> Case {
    Case {
        name,
        folder: name,
        ..USUAL
    }
}

/// All of them.
pub(super) const CASES: [Case; 22] = [
    Case {
        std: Shown::These(&[
            "embed",
            "internal/bytealg",
            "internal/goarch",
            "internal/runtime/atomic",
            "io/fs",
            "runtime",
        ]),
        ..module("pure")
    },
    module("assembly"),
    Case {
        std: Shown::These(&["runtime/cgo"]),
        ..module("cgo")
    },
    module("cxx"),
    Case {
        env: &[(
            "PKG_CONFIG_PATH",
            "/golden/modules/pkgconfig/installed/lib/pkgconfig",
        )],
        ..module("pkgconfig")
    },
    module("pgo"),
    module("vendored"),
    module("outside"),
    Case {
        output: Some("/golden/out/"),
        packages: &["./one/...", "./two/..."],
        ..module("workspace")
    },
    Case {
        flags: &["-buildmode=c-archive"],
        ..module("archive")
    },
    Case {
        name: "race",
        flags: &["-race"],
        std: Shown::These(&["runtime/race"]),
        ..module("pure")
    },
    Case {
        name: "cover",
        flags: &["-cover"],
        std: Shown::These(&["runtime/coverage"]),
        ..module("cgo")
    },
    Case {
        name: "untrimmed",
        trimpath: false,
        ..module("cgo")
    },
    Case {
        name: "overlay",
        flags: &["-overlay=overlay.json"],
        ..module("pure")
    },
    Case {
        name: "wrapped",
        flags: &["-toolexec=/golden/modules/assembly/wrapper.sh one two"],
        ..module("assembly")
    },
    Case {
        name: "windows",
        env: &[("GOOS", "windows")],
        ..module("pure")
    },
    Case {
        name: "flags",
        flags: &[
            "-tags=one,two",
            "-gcflags=all=-N -l",
            "-ldflags=-s -w -X main.version=1.0",
            "-asmflags=-D=X",
            "-buildmode=pie",
        ],
        ..module("assembly")
    },
    // Refused: by go, and by the planner.
    module("broken"),
    Case {
        env: &[(
            "PKG_CONFIG_PATH",
            "/golden/modules/pkgconfig_refused/installed",
        )],
        ..module("pkgconfig_refused")
    },
    Case {
        name: "cgo_led_elsewhere",
        env: &[("CPATH", "/golden/include")],
        ..module("cgo")
    },
    Case {
        name: "unknown_linker",
        flags: &["-ldflags=-extld=/golden/ld"],
        ..module("cgo")
    },
    Case {
        name: "relative_wrapper",
        flags: &["-toolexec=./wrapper"],
        ..module("pure")
    },
];

impl Case {
    /// What is asked for, with each path as `place` has it.
    pub fn request(&self, place: &dyn Fn(&str) -> String) -> PlanRequest {
        let all = |texts: &[&str]| texts.iter().map(|text| place(text)).collect();
        PlanRequest {
            flags: all(self.flags),
            output: self.output.map(place),
            packages: all(self.packages),
            trimpath: self.trimpath,
            compilers: Vec::new(),
        }
    }
}
