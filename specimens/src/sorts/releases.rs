//! Builds for which cmd/go hands over to another release (<https://go.dev/doc/toolchain>).
//!
//! The other release is the one that is there, by way of a script that sets a tag: what cmd/go does to find it and to hand over is
//! all its own, and nothing of the standard library has to be compiled anew.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::{leads_outside, quick};
use crate::saved::remove;
use crate::specimen::Specimen;
use crate::workshop::Workshop;

/// What the other release is called.
const OTHER: &str = "go1.99.0";

/// Its go command. It was told which release to be, and is not.
const SCRIPT: &str = "unset GOTOOLCHAIN_INTERNAL_SWITCH_VERSION GOROOT\nexport GOTOOLCHAIN=local GOFLAGS=\"$GOFLAGS -tags=handed_over\"\nexec go \"$@\"";

/// With a folder of its own, which cmd/go has named.
const SCRIPT_WITH_ROOT: &str = "unset GOTOOLCHAIN_INTERNAL_SWITCH_VERSION\nexport GOTOOLCHAIN=local GOFLAGS=\"$GOFLAGS -tags=handed_over\"\nexec go \"$@\"";

/// A module with this behind its language version.
fn module(w: &mut Workshop, line: &str) -> io::Result<()> {
    let value = |tag: &str, value: u32| {
        format!("//go:build {tag}\n\npackage main\n\nconst value = {value}\n")
    };
    w.module(&[
        (
            "main.go",
            "package main\n\nfunc main() { println(value) }\n",
        ),
        ("on.go", &value("handed_over", 1)),
        ("off.go", &value("!handed_over", 2)),
    ])?;
    let text = format!("module example.com/m\n\ngo 1.24\n{line}");
    w.files(&[("src/go.mod", &text)])
}

fn from_a_proxy(w: &mut Workshop, script: &str) -> io::Result<()> {
    module(w, "\ntoolchain go1.99.0\n")?;
    w.publish_release(OTHER, script)?;
    w.env("GOTOOLCHAIN", "auto");
    w.go("src", &["version"])
}

pub(super) const ALL: &[Specimen] = &[
    quick("release_on_path", |w| {
        w.env("GOTOOLCHAIN", "path");
        w.tool(OTHER, SCRIPT)?;
        module(w, "\ntoolchain go1.99.0\n")
    }),
    quick("release_of_the_environment", |w| {
        w.env("GOTOOLCHAIN", "go1.99.0+path");
        w.tool(OTHER, SCRIPT)?;
        module(w, "")
    }),
    quick("release_of_go_env", |w| {
        w.env("GOTOOLCHAIN", "");
        w.files(&[("home/.config/go/env", "GOTOOLCHAIN=go1.99.0+path\n")])?;
        w.tool(OTHER, SCRIPT)?;
        module(w, "")
    }),
    quick("release_of_a_workspace", |w| {
        w.env("GOTOOLCHAIN", "path");
        w.tool(OTHER, SCRIPT)?;
        w.files(&[("src/go.work", "go 1.24\n\ntoolchain go1.99.0\n\nuse .\n")])?;
        module(w, "")
    }),
    quick("release_that_is_not_there", |w| {
        w.env("GOTOOLCHAIN", "path");
        module(w, "\ntoolchain go1.99.0\n")
    }),
    quick("release_from_a_proxy", |w| from_a_proxy(w, SCRIPT)),
    leads_outside("release_with_a_root_in_the_module_cache", |w| {
        from_a_proxy(w, SCRIPT_WITH_ROOT)?;
        let root = w.fetched_release(OTHER);
        fs::set_permissions(&root, Permissions::from_mode(0o755))?;
        let known = w.goroot()?;
        fs::create_dir(root.join("src"))?;
        for entry in fs::read_dir(known.join("src"))? {
            let entry = entry?;
            symlink(entry.path(), root.join("src").join(entry.file_name()))?;
        }
        // A release that is fetched has its go.mod under this name, and cmd/go copies it.
        symlink("go.mod", root.join("src/_go.mod"))?;
        for name in ["VERSION", "go.env", "lib", "pkg"] {
            if root.join(name).exists() {
                remove(&root.join(name))?;
            }
            symlink(known.join(name), root.join(name))?;
        }
        Ok(())
    }),
];
