//! See the crate's text. The tools are built by `./test`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "these are tests")]

mod chart;
mod compose;
mod dockerfile;
mod farm;
mod image;
mod process;
mod program;
mod services;

use std::path::{Path, PathBuf};

/// The root of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A tool of deploy/tools.
fn tool(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let target = test.ancestors().nth(3).unwrap();
    let program = target.join("deploy-tools").join(name);
    assert!(
        program.exists(),
        "{} is not there; ./test builds it",
        program.display()
    );
    program
}
