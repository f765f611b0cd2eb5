//! One build by both commands.

use std::path::PathBuf;

use super::{Site, same};

/// Builds the source tree's package by `gofarm submit` and by `go build -trimpath`, with these variables and arguments
/// (flags, then packages), and compares the two programs byte for byte. Returns gofarm's.
#[track_caller]
pub fn built_by_both(site: &Site, vars: &[(&str, &str)], args: &[&str]) -> PathBuf {
    let run = |command: fn(&Site, &[&str]) -> super::Invocation, first: &[&str]| {
        let all: Vec<&str> = first.iter().chain(args).copied().collect();
        let mut command = command(site, &all);
        for (name, value) in vars {
            command = command.env(name, value);
        }
        command.run().ok();
    };
    run(Site::gofarm, &["submit", "-o", "ours"]);
    // go does not look at libraries again: with a program that has the right build ID it does not link.
    let _ = std::fs::remove_file(site.src("theirs"));
    run(Site::go, &["build", "-trimpath", "-o", "theirs"]);
    same(&site.src("ours"), &site.src("theirs"));
    site.src("ours")
}
