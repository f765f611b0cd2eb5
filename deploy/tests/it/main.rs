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

/// Where cargo puts programs: beside the folder of this test.
fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().unwrap().parent().unwrap();
    present(folder.join(name))
}

/// A tool of deploy/tools.
fn tool(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let target = test.ancestors().nth(3).unwrap();
    present(target.join("deploy-tools").join(name))
}

fn present(program: PathBuf) -> PathBuf {
    assert!(
        program.exists(),
        "{} is not there; ./test builds it",
        program.display()
    );
    program
}
