//! Every path that planning asks for is covered by a fact of the kept plan, or needs none for a reason.

#![allow(
    clippy::unwrap_used,
    reason = "outside of test functions too, a test fails where it stands"
)]

use std::path::Path;

use gofarm_freshness::audit::observe_planning;
use gofarm_specimens::specimens;

/// Planning itself works under observation, for every specimen; what it asked for can be told.
#[test]
fn planning_is_observed_whole() {
    let dir = tempfile::tempdir().unwrap();
    let gocache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("audit-go-cache");
    let planner = Path::new(env!("CARGO_BIN_EXE_gofarm-freshness"));
    let plain = specimens()
        .into_iter()
        .find(|specimen| specimen.name == "nested_packages")
        .unwrap();
    let planning = observe_planning(&plain, &dir.path().join("s"), planner, &gocache).unwrap();
    assert_eq!(planning.refusal, None);
    for read in ["src/go.mod", "src/main.go", "src/a/a.go", "src/b/b.go"] {
        let path = planning.written.root.join(read);
        assert!(
            planning
                .asked
                .iter()
                .any(|asked| asked.program == "go" && asked.access.path == path),
            "{read}"
        );
    }
}
