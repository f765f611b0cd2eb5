//! The farm of the compose file, on real processes: it comes up, builds the example as `go build` does, and goes down.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use gofarm_testkit::built;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::process::{Ended, command, run};
use crate::services::{Place, Service};
use crate::{compose, root};

const TOKEN: &str = "a-token-of-this-test";

#[test]
fn the_compose_file_is_a_farm_that_builds_the_example() {
    let folder = tempfile::tempdir().unwrap();
    let project = compose::project();
    let place = Place::new(folder.path(), TOKEN);
    // In the order of depends_on, each when what it waits for is healthy.
    let mut running: Vec<Service> = Vec::new();
    for name in ["redis", "scheduler", "worker-1", "worker-2"] {
        let mut service = place.start(name, &project["services"][name]);
        service.wait_healthy();
        running.push(service);
    }

    let example = folder.path().join("example");
    copy(&root().join("examples/monorepo"), &example);
    let (farm, local) = (folder.path().join("farm"), folder.path().join("local"));
    for folder in [&farm, &local] {
        fs::create_dir(folder).unwrap();
    }
    let server = format!("http://127.0.0.1:{}", place.port(8980));
    let summary = folder.path().join("summary.json");
    let submit = |token: &str| {
        let mut submit = command(&built("gofarm"));
        submit.arg("submit").arg("-C").arg(&example);
        submit.args(["--server", &server, "--fallback=false"]);
        submit
            .arg("--summary-json")
            .arg(&summary)
            .arg("-o")
            .arg(&farm)
            .arg("./cmd/...");
        submit.env("GOFARM_TOKEN", token);
        submit.env("GOFARM_CACHE_DIR", folder.path().join("client"));
        run(submit)
    };

    let refused = submit("another-token");
    assert!(
        !refused.ok && refused.all.contains("token"),
        "{}",
        refused.all
    );
    succeed(submit(TOKEN));
    let summary: Value = serde_json::from_slice(&fs::read(&summary).unwrap()).unwrap();
    assert_eq!(summary["result"], "succeeded", "{summary}");
    assert_eq!(
        summary["actions"]["executed"], summary["actions"]["total"],
        "{summary}"
    );

    let mut build = command(Path::new("go"));
    build
        .args(["build", "-trimpath", "-o"])
        .arg(&local)
        .arg("./cmd/...");
    build.current_dir(&example).env_remove("GOFLAGS");
    succeed(run(build));
    let expected = programs(&local);
    assert!(!expected.is_empty());
    assert_eq!(programs(&farm), expected);

    // Workers first, so that the scheduler sees them drain.
    while let Some(mut service) = running.pop() {
        let status = service.stop();
        assert!(status.success(), "{status}");
    }
}

fn succeed(ended: Ended) {
    assert!(ended.ok, "{}", ended.all);
}

/// The example outside of the repository, whose commit would be stamped into programs.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn programs(folder: &Path) -> BTreeMap<PathBuf, String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let hash = |path: &Path| format!("{:x}", Sha256::digest(fs::read(path).unwrap()));
    entries
        .map(|entry| (entry.file_name().into(), hash(&entry.path())))
        .collect()
}
