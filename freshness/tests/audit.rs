//! Every path that planning asks for is covered by a fact of the kept plan, or needs none for a reason.

#![allow(
    clippy::unwrap_used,
    reason = "outside of test functions too, a test fails where it stands"
)]

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use gofarm_freshness::audit::{Audited, audit};
use gofarm_specimens::{Random, Specimen, specimens};

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

/// Specimens that are audited in every run: each sort of question is asked by one of them.
const ALWAYS: [&str; 24] = [
    "all_kinds_of_lines",
    "another_module_file",
    "assembly",
    "cgo_cxx",
    "cgo_header_in_any_folder",
    "cgo_include_folders_in_order",
    "cgo_pkg_config",
    "embed_a_folder_with_links",
    "embed_a_glob",
    "files_named",
    "from_a_proxy",
    "gopath",
    "module_behind_a_link",
    "no_compiler_on_path",
    "plain",
    "private_repository_not_asked_yet",
    "release_on_path",
    "release_with_a_root_in_the_module_cache",
    "replaced_by_a_folder",
    "repository",
    "settings_of_go_env",
    "submodule",
    "vendored",
    "workspace_above",
];

/// For how long others are audited, another choice in each run. All of them: `cargo run -p gofarm-freshness -- audit`.
const TIME: Duration = Duration::from_secs(25);

/// The order in which specimens are audited.
fn in_order(seed: u64) -> Vec<Specimen> {
    let mut random = Random::new(seed);
    let (mut order, mut others): (Vec<Specimen>, Vec<Specimen>) = specimens()
        .into_iter()
        .partition(|specimen| ALWAYS.contains(&specimen.name));
    assert_eq!(order.len(), ALWAYS.len());
    while !others.is_empty() {
        order.push(others.swap_remove(random.below(others.len())));
    }
    order
}

#[test]
fn every_path_that_planning_asks_for_is_a_fact() {
    let dir = tempfile::tempdir().unwrap();
    let seed = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_millis() as u64;
    let all = in_order(seed);
    let begun = Instant::now();
    let (next, count) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let table = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let turn = next.fetch_add(1, Ordering::Relaxed);
                    let is_over = turn >= ALWAYS.len() && begun.elapsed() > TIME;
                    let Some(specimen) = all.get(turn).filter(|_| !is_over) else {
                        break;
                    };
                    count.fetch_add(1, Ordering::Relaxed);
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
    println!(
        "{} of {} specimens in {:?}",
        count.into_inner(),
        all.len(),
        begun.elapsed()
    );
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
