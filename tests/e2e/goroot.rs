//! The go command's own programs, and other releases of it.

use std::path::{Path, PathBuf};

use crate::harness::Site;

/// Verifies programs of GOROOT with cgo and without, with the go command in this folder or the one on PATH.
fn verify(go: Option<&Path>, packages: &[&str]) {
    for cgo in ["1", "0"] {
        let site = Site::new();
        let mut args = vec!["verify"];
        args.extend(packages);
        let mut command = site.gofarm(&args).env("CGO_ENABLED", cgo);
        if let Some(folder) = go {
            let path = std::env::var("PATH").unwrap();
            command = command.env("PATH", &format!("{}:{path}", folder.display()));
        }
        let finished = command.run().ok();
        let identical = finished.stdout.matches("identical ").count();
        assert_eq!(identical, packages.len(), "{}", finished.stdout);
    }
}

fn full() -> bool {
    std::env::var_os("GOFARM_TEST_FULL").is_some()
}

#[test]
fn gofmt() {
    verify(None, &["cmd/gofmt"]);
}

/// With `GOFARM_TEST_FULL` only: the compilers of all platforms are among what they need.
#[test]
fn the_larger_commands() {
    if full() {
        verify(None, &["cmd/asm", "cmd/go", "cmd/vet"]);
    }
}

/// With `GOFARM_TEST_GO` only: it names the go commands.
#[test]
fn other_releases() {
    let Some(list) = std::env::var_os("GOFARM_TEST_GO") else {
        return;
    };
    for go in std::env::split_paths(&list) {
        let folder: PathBuf = go.parent().unwrap().to_owned();
        verify(Some(&folder), &["cmd/gofmt"]);
        if full() {
            verify(Some(&folder), &["cmd/asm", "cmd/go", "cmd/vet"]);
        }
        let site = Site::cold();
        site.example("monorepo");
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
        let finished = site
            .gofarm(&["verify", "./..."])
            .env("PATH", &path)
            .run()
            .ok();
        let identical = finished.stdout.matches("identical ").count();
        assert_eq!(identical, 4, "{}", finished.stdout);
    }
}
