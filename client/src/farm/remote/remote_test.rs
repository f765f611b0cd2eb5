//! Builds on a farm that is there, goes away, forgets and loses.

use std::path::Path;
use std::time::Duration;

use gofarm_engine::core::{BuildId, BuildResult};
use gofarm_proto::{Digest, v1};
use gofarm_queue::Renewal;
use gofarm_store::{DiskStore, DiskStoreOptions};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::farm_test::{TestFarm, request};
use super::project_test::{Project, remote};
use super::{Fetched, OnCancel, Remote, Stopped, Submission};
use crate::blobs::Blobs;

fn disk(folder: &Path) -> DiskStore {
    DiskStore::open(folder, DiskStoreOptions::default()).unwrap()
}

/// A farm in a folder that leases nothing yet, what is built there, and whoever asks it to, with what would stop that.
fn held_up(folder: &TempDir) -> (TestFarm, Project, Remote, CancellationToken) {
    let farm = TestFarm::start(&folder.path().join("farm"), 0, 0);
    let remote = remote(&farm);
    (farm, Project::new(), remote, CancellationToken::new())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_and_the_same_again() {
    let folder = tempfile::tempdir().unwrap();
    let farm = TestFarm::start(&folder.path().join("farm"), 0, 100);
    let (project, remote, never) = (Project::new(), remote(&farm), CancellationToken::new());
    let first = project.build(&remote, 1, &never).await.unwrap();
    assert_eq!(first.summary.result, BuildResult::Succeeded);
    assert_eq!(
        (first.executed.len(), first.summary.counts.executed),
        (2, 2)
    );
    assert!(first.uploaded > project.source().size, "{first:?}");
    assert_eq!(
        project.told.take(),
        [
            "accepted 2",
            "0 queued",
            "0 started",
            "0 executed",
            "1 queued",
            "1 started",
            "1 executed",
            "finished Succeeded"
        ]
    );

    let again = project.build(&remote, 2, &never).await.unwrap();
    assert_eq!((again.uploaded, again.summary.counts.cached), (0, 2));

    // What was made is fetched once.
    let binary = again.results[1].as_ref().unwrap().output("binary").unwrap();
    let local = disk(&folder.path().join("client"));
    let runtime = tokio::runtime::Handle::current();
    let read = tokio::task::spawn_blocking(move || {
        let fetched = Fetched::new(&remote, &local, runtime, never);
        let bytes = [(); 2].map(|()| Blobs::read(&fetched, &binary).unwrap());
        (bytes, fetched.bytes())
    });
    let ([one, two], bytes) = read.await.unwrap();
    assert_eq!((Digest::of(&one), &one), (binary, &two));
    assert_eq!(bytes, binary.size);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_farm_that_has_lost_everything_is_given_the_build_again() {
    let folder = tempfile::tempdir().unwrap();
    let (farm, project, remote, never) = held_up(&folder);
    let mut watch = project.told.clone();
    let build = project.told_to(1, &mut watch);
    let submission = Submission::new(&remote, &build).unwrap();
    assert!(remote.detach(build, &never).await.unwrap());
    let port = farm.port;
    drop(farm);
    // Another life, with neither builds nor blobs.
    let _farm = TestFarm::start(&folder.path().join("other"), port, 100);
    let mut story = project.story(&mut watch);
    let summary = remote
        .watch(&submission, &mut story, true, &never, OnCancel::End)
        .await
        .unwrap();
    assert_eq!(summary.result, BuildResult::Succeeded);
    assert_eq!(summary.counts.executed, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_watches_hears_that_the_farm_is_out_of_reach_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let (farm, project, remote, never) = held_up(&folder);
    let build = project.build(&remote, 1, &never);
    let loss = async {
        project.wait_for("0 queued").await;
        let port = farm.port;
        drop(farm);
        let told = project.wait_for("out of reach").await;
        let warned = told.iter().any(|line| {
            line.starts_with("warning: cannot watch a build at the farm ")
                && line.contains("; trying again (")
        });
        assert!(warned, "{told:?}");
        let _farm = TestFarm::start(&folder.path().join("other"), port, 100);
        let told = project.wait_for("finished").await;
        assert!(told.contains(&"in reach".to_owned()), "{told:?}");
    };
    let (built, ()) = tokio::join!(build, loss);
    assert_eq!(built.unwrap().summary.result, BuildResult::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_the_farm_has_lost_is_brought_again() {
    let folder = tempfile::tempdir().unwrap();
    let (farm, project, remote, never) = held_up(&folder);
    let build = project.build(&remote, 1, &never);
    let loss = async {
        project.wait_for("0 queued").await;
        std::fs::remove_file(farm.store.path(&project.source())).unwrap();
        farm.allowed.add_permits(100);
    };
    let (built, ()) = tokio::join!(build, loss);
    assert_eq!(built.unwrap().summary.result, BuildResult::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_nobody_has_any_more_fails_the_build() {
    let folder = tempfile::tempdir().unwrap();
    let (farm, project, remote, never) = held_up(&folder);
    let build = project.build(&remote, 1, &never);
    let loss = async {
        project.wait_for("0 queued").await;
        std::fs::remove_file(farm.store.path(&project.source())).unwrap();
        std::fs::write(project.folder.path().join("m.go"), "package changed\n").unwrap();
        farm.allowed.add_permits(100);
        project.wait_for("finished").await
    };
    let (built, told) = tokio::join!(build, loss);
    assert_eq!(built.unwrap().summary.result, BuildResult::Failed);
    assert!(told.contains(&"0 failed".to_owned()), "{told:?}");
    assert!(
        told.iter()
            .any(|line| line.starts_with("warning: ") && line.contains("m.go")),
        "{told:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_while_it_is_brought_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (_farm, project, remote, never) = held_up(&folder);
    std::fs::write(project.folder.path().join("m.go"), "package changed\n").unwrap();
    let error = project.build(&remote, 1, &never).await.unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("m.go changed while the build was running; run the command again"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_stops_a_build_stops_it_on_the_farm() {
    let folder = tempfile::tempdir().unwrap();
    let (farm, project, remote, cancel) = held_up(&folder);
    let build = project.build(&remote, 1, &cancel);
    let stop = async {
        let leases = farm.queue.lease(request(1)).await.unwrap();
        project.wait_for("0 started").await;
        cancel.cancel();
        loop {
            let held = farm.queue.renew(&[leases[0].id]).await.unwrap();
            match held[0] {
                Renewal::Held {
                    cancelled: false, ..
                } => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                ref other => break assert!(matches!(other, Renewal::Held { .. }), "{other:?}"),
            }
        }
    };
    let (built, ()) = tokio::join!(build, stop);
    let summary = built.unwrap().summary;
    assert_eq!(
        (summary.result, summary.counts.cancelled),
        (BuildResult::Cancelled, 2)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_was_left_to_the_farm_is_watched_from_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let (farm, project, remote, never) = held_up(&folder);
    let mut watch = project.told.clone();
    let detached = remote.detach(project.told_to(1, &mut watch), &never).await;
    assert!(detached.unwrap());
    // Nothing of this machine is needed any more.
    std::fs::remove_file(project.folder.path().join("m.go")).unwrap();

    let get = v1::GetRequest {
        build: BuildId(1).to_string(),
    };
    let known = remote
        .connection
        .builds()
        .get(get)
        .await
        .unwrap()
        .into_inner();
    let options = known.options.clone().unwrap();
    assert_eq!(options.user, "ann");
    assert!(options.title.starts_with(". in "), "{}", options.title);
    let submission = Submission::of_known(&known);

    // Whoever attached goes away, and the build goes on.
    let away = CancellationToken::new();
    away.cancel();
    let mut story = project.story(&mut watch);
    let left = remote
        .watch(&submission, &mut story, false, &away, OnCancel::Leave)
        .await;
    assert!(left.unwrap_err().is::<Stopped>());

    farm.allowed.add_permits(100);
    let mut watch = project.told.clone();
    let mut story = project.story(&mut watch);
    let summary = remote
        .watch(&submission, &mut story, false, &never, OnCancel::Leave)
        .await
        .unwrap();
    assert_eq!(summary.result, BuildResult::Succeeded);
    assert!(story.finished(summary, 0).results[1].is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_farm_that_is_not_there_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let farm = TestFarm::start(&folder.path().join("farm"), 0, 0);
    let remote = remote(&farm);
    remote.reach(Duration::from_secs(10)).await.unwrap();
    drop(farm);
    let error = remote.reach(Duration::from_millis(300)).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(
        error
            .to_string()
            .starts_with("cannot build at the farm http://127.0.0.1:")
    );
}
