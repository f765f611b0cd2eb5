//! Modules that are not alone: vendored, replaced, in workspaces, from a proxy.

use std::io;

use super::quick;
use crate::specimen::Specimen;
use crate::workshop::{GO_MOD, Workshop};

const USES_LIB: &str =
    "package main\n\nimport \"example.com/lib\"\n\nfunc main() { println(lib.Lib()) }\n";
const LIB: &str = "package lib\n\nfunc Lib() int { return 300 }\n";
const REQUIRES_LIB: &str = "module example.com/m\n\ngo 1.24\n\nrequire example.com/lib v1.0.0\n";

fn publish(w: &mut Workshop) -> io::Result<()> {
    w.publish(
        "example.com/lib",
        "v1.0.0",
        &[
            ("go.mod", "module example.com/lib\n\ngo 1.22\n\nrequire example.com/deep v0.2.0\n"),
            ("lib.go", "package lib\n\nimport \"example.com/deep\"\n\nfunc Lib() int { return 300 + deep.Deep }\n"),
            ("unused/u.go", "package unused\n"),
        ],
    )?;
    w.publish(
        "example.com/lib",
        "v1.1.0",
        &[
            ("go.mod", "module example.com/lib\n\ngo 1.22\n"),
            ("lib.go", LIB),
        ],
    )?;
    w.publish(
        "example.com/deep",
        "v0.2.0",
        &[
            ("go.mod", "module example.com/deep\n\ngo 1.21\n"),
            ("deep.go", "package deep\n\nconst Deep = 20\n"),
        ],
    )?;
    w.files(&[("src/go.mod", REQUIRES_LIB), ("src/main.go", USES_LIB)])?;
    w.go("src", &["mod", "tidy"])
}

/// A workspace of two modules in `src`, of which the first uses the second.
fn workspace(w: &mut Workshop, lib: &str) -> io::Result<()> {
    w.files(&[
        ("src/one/go.mod", GO_MOD),
        ("src/one/main.go", USES_LIB),
        (
            &format!("{lib}/go.mod"),
            "module example.com/lib\n\ngo 1.24\n",
        ),
        (&format!("{lib}/lib.go"), LIB),
    ])
}

pub(super) const ALL: &[Specimen] = &[
    quick("from_a_proxy", publish),
    quick("from_a_proxy_with_writable_cache", |w| {
        w.env("GOFLAGS", "-modcacherw");
        publish(w)
    }),
    quick("from_a_proxy_into_a_cache_of_its_own", |w| {
        w.env("GOMODCACHE", "ROOT/modcache");
        publish(w)
    }),
    quick("mod_mod", |w| {
        w.flags(&["-mod=mod"]);
        publish(w)
    }),
    quick("vendored", |w| {
        publish(w)?;
        w.go("src", &["mod", "vendor"])?;
        w.env("GOPROXY", "off");
        w.packages(&["./..."]);
        Ok(())
    }),
    quick("vendored_and_not_used", |w| {
        publish(w)?;
        w.go("src", &["mod", "vendor"])?;
        w.flags(&["-mod=readonly"]);
        Ok(())
    }),
    quick("replaced_by_a_folder", |w| {
        w.files(&[
            ("src/go.mod", "module example.com/m\n\ngo 1.24\n\nrequire example.com/lib v1.0.0\n\nreplace example.com/lib => ../lib\n"),
            ("src/main.go", USES_LIB),
            ("lib/go.mod", "module example.com/lib\n\ngo 1.22\n\nrequire example.com/deep v1.0.0\n\nreplace example.com/deep => ./nowhere\n"),
            ("lib/lib.go", LIB),
            ("lib/sub/s.go", "package sub\n"),
        ])?;
        w.files(&[
            ("src/go.mod", "module example.com/m\n\ngo 1.24\n\nrequire (\n\texample.com/lib v1.0.0\n\texample.com/deep v1.0.0 // indirect\n)\n\nreplace (\n\texample.com/lib => ../lib\n\texample.com/deep => ../deep\n)\n"),
            ("lib/lib.go", "package lib\n\nimport \"example.com/deep\"\n\nfunc Lib() int { return 300 + deep.Deep }\n"),
            ("deep/go.mod", "module example.com/deep\n\ngo 1.22\n"),
            ("deep/deep.go", "package deep\n\nconst Deep = 20\n"),
        ])
    }),
    quick("replaced_by_a_folder_inside", |w| {
        w.packages(&["./..."]);
        w.files(&[
            ("src/go.mod", "module example.com/m\n\ngo 1.24\n\nrequire example.com/lib v1.0.0\n\nreplace example.com/lib => ./third/lib\n"),
            ("src/main.go", USES_LIB),
            ("src/third/lib/go.mod", "module example.com/lib\n\ngo 1.22\n"),
            ("src/third/lib/lib.go", LIB),
        ])
    }),
    quick("a_module_inside", |w| {
        w.packages(&["./..."]);
        w.module(&[
            ("main.go", super::MAIN),
            ("inner/go.mod", "module example.com/inner\n"),
            ("inner/x.go", "package x\n\nthis is no Go\n"),
            ("inner/below/y.go", "package y\n\nthis is no Go\n"),
        ])
    }),
    quick("workspace_above", |w| {
        w.work_in("src/one");
        workspace(w, "src/lib")?;
        w.files(&[("src/go.work", "go 1.24\n\nuse (\n\t./one\n\t./lib\n)\n")])
    }),
    quick("workspace_with_a_module_outside", |w| {
        w.work_in("src/one");
        workspace(w, "elsewhere/lib")?;
        w.files(&[(
            "src/go.work",
            "go 1.24\n\nuse ./one\nuse ../elsewhere/lib // there\n",
        )])
    }),
    quick("workspace_of_the_environment", |w| {
        w.work_in("src/one");
        w.env("GOWORK", "ROOT/work/ci.work");
        workspace(w, "src/lib")?;
        w.files(&[(
            "work/ci.work",
            "go 1.24\n\nuse ../src/one\nuse ../src/lib\n",
        )])
    }),
    quick("workspace_that_replaces", |w| {
        w.work_in("src/one");
        workspace(w, "src/lib")?;
        w.files(&[
            (
                "src/go.work",
                "go 1.24\n\nuse ./one\n\nreplace example.com/lib v1.0.0 => ./lib\n",
            ),
            ("src/one/go.mod", REQUIRES_LIB),
        ])
    }),
    quick("workspace_turned_off", |w| {
        w.env("GOWORK", "off");
        w.files(&[("go.work", "go 1.24\n\nuse ./nowhere\n")])?;
        w.module(&[("main.go", super::MAIN)])
    }),
    quick("workspace_vendored", |w| {
        publish(w)?;
        w.files(&[("src/go.work", "go 1.24\n\nuse .\n")])?;
        w.go("src", &["work", "vendor"])
    }),
    quick("another_module_file", |w| {
        w.flags(&["-modfile=other.mod"]);
        w.files(&[
            ("src/go.mod", "module example.com/m\n\ngo 1.24\n"),
            ("src/other.mod", "module example.com/m\n\ngo 1.24\n\nrequire example.com/lib v1.0.0\n\nreplace example.com/lib => ../lib\n"),
            ("src/main.go", USES_LIB),
            ("lib/go.mod", "module example.com/lib\n\ngo 1.22\n"),
            ("lib/lib.go", LIB),
        ])
    }),
    quick("toolchain_line", |w| {
        w.module(&[("main.go", super::MAIN)])?;
        w.files(&[(
            "src/go.mod",
            "module example.com/m\n\ngo 1.24\n\ntoolchain go1.24.1\n",
        )])
    }),
    quick("no_go_line", |w| {
        w.module(&[("main.go", super::MAIN)])?;
        w.files(&[("src/go.mod", "module example.com/m\n")])
    }),
    quick("all_kinds_of_lines", |w| {
        w.module(&[
            ("main.go", super::MAIN),
            ("tools/t/main.go", super::MAIN),
            ("skipped/s.go", "package skipped\n"),
        ])?;
        w.files(&[(
            "src/go.mod",
            "// Deprecated: no more.\nmodule example.com/m\n\ngo 1.25\n\ntool example.com/m/tools/t\n\nretract v1.0.0 // bad\n\nexclude example.com/x v1.2.3\n\nignore ./skipped\n",
        )])?;
        w.packages(&["./..."]);
        Ok(())
    }),
    quick("no_module", |w| {
        w.packages(&["main.go"]);
        w.files(&[("src/main.go", super::MAIN)])
    }),
];
