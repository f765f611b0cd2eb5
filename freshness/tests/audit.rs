//! Every path that planning asks for is covered by a fact of the kept plan, or needs none for a reason.

#![allow(
    clippy::unwrap_used,
    reason = "outside of test functions too, a test fails where it stands"
)]

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use gofarm_freshness::audit::{Audited, audit};
use gofarm_specimens::{Specimen, specimens};

/// Specimens whose build fails before anything is compiled: there is no plan to be kept.
const NOT_PLANNED: [&str; 6] = [
    "c_without_cgo",
    "cgo_pkg_config_without_the_library",
    "embed_what_is_not_there",
    "import_that_is_not_there",
    "release_that_is_not_there",
    "two_packages_in_a_folder",
];

fn audited(specimen: &Specimen, folder: &Path) -> Audited {
    let gocache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("audit-go-cache");
    let planner = Path::new(env!("CARGO_BIN_EXE_gofarm-freshness"));
    audit(specimen, folder, planner, &gocache).unwrap()
}

#[test]
fn every_path_that_planning_asks_for_is_a_fact() {
    let dir = tempfile::tempdir().unwrap();
    let all = specimens();
    let next = AtomicUsize::new(0);
    let table = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(specimen) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let audited = audited(specimen, dir.path());
                    let mut table = table.lock().unwrap();
                    table.extend(audited.uncovered.iter().map(ToString::to_string));
                    if let Some(reason) = &audited.not_kept
                        && !NOT_PLANNED.contains(&specimen.name)
                    {
                        table.push(format!("{} is not kept: {reason}", specimen.name));
                    }
                }
            });
        }
    });
    let mut table = table.into_inner().unwrap();
    table.sort();
    assert!(
        table.is_empty(),
        "{} paths that no fact covers:\n{}",
        table.len(),
        table.join("\n")
    );
}

#[test]
fn planning_is_observed_whole() {
    let dir = tempfile::tempdir().unwrap();
    let nested = specimens()
        .into_iter()
        .find(|specimen| specimen.name == "nested_packages")
        .unwrap();
    let audited = audited(&nested, dir.path());
    let asked = &audited.planning.asked;
    for read in ["src/go.mod", "src/main.go", "src/a/a.go", "src/b/b.go"] {
        let path = audited.planning.written.root.join(read);
        let is_read = asked
            .iter()
            .any(|asked| asked.program == "go" && asked.access.path == path);
        assert!(is_read, "{read}");
    }
}
