//! A kept plan is never wrong: builds with it after a change are those of a fresh `go build`.
//!
//! `cargo run -p gofarm-freshness -- mutate --count 5000` tries as many random changes as one likes, `--seed N` one again.

mod named;
mod random;
mod surroundings;

use std::path::Path;
use std::sync::OnceLock;

use gofarm_freshness::mutation::Mutator;
use gofarm_specimens::{Specimen, specimens};
use gofarm_testkit::built;

/// With caches that stay between runs.
fn mutator() -> &'static Mutator {
    static MUTATOR: OnceLock<Mutator> = OnceLock::new();
    MUTATOR.get_or_init(|| {
        let caches = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kept-plans");
        Mutator::new(&built("gofarm"), &caches).unwrap()
    })
}

fn specimen(name: &str) -> Specimen {
    specimens()
        .into_iter()
        .find(|specimen| specimen.name == name)
        .unwrap_or_else(|| panic!("no specimen {name}"))
}
