//! Builds that run while their sources are still on their way.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use gofarm_engine::core::{BuildId, BuildResult};
use gofarm_proto::Digest;
use tokio_util::sync::CancellationToken;

use super::farm_test::TestFarm;
use super::project_test::{LATE, Project, remote};
use super::{OnCancel, Submission};

/// Whoever reads the pipe gets this, and is let go. Blocks until somebody reads.
async fn write(pipe: &Path, content: &'static [u8]) {
    let pipe = pipe.to_owned();
    let written = tokio::task::spawn_blocking(move || {
        let mut pipe = std::fs::OpenOptions::new().write(true).open(pipe).unwrap();
        // Who reads may go away first.
        let _ = pipe.write_all(content);
    });
    written.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn actions_run_while_sources_of_later_ones_are_on_their_way() {
    let folder = tempfile::tempdir().unwrap();
    let farm = TestFarm::start(&folder.path().join("farm"), 0, 1);
    let ((project, late), never) = (Project::with_late(), CancellationToken::new());
    let remote = remote(&farm);
    let build = project.build(&remote, 1, &never);
    let goes_on = async {
        project.wait_for("0 executed").await;
        assert!(!farm.store.contains(&Digest::of(LATE)));
        write(&late, LATE).await;
        while !farm.store.contains(&Digest::of(LATE)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        farm.allowed.add_permits(100);
    };
    let (built, ()) = tokio::join!(build, goes_on);
    let built = built.unwrap();
    assert_eq!(built.summary.result, BuildResult::Succeeded);
    assert_eq!(built.summary.counts.executed, 3);
    assert!(built.uploaded > project.source().size + LATE.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_turns_out_changed_ends_the_build_on_the_farm() {
    let folder = tempfile::tempdir().unwrap();
    let farm = TestFarm::start(&folder.path().join("farm"), 0, 1);
    let ((project, late), never) = (Project::with_late(), CancellationToken::new());
    let remote = remote(&farm);
    let build = project.build(&remote, 1, &never);
    let changes = async {
        project.wait_for("0 executed").await;
        write(&late, b"package other\n").await;
    };
    let (built, ()) = tokio::join!(build, changes);
    let error = built.unwrap_err().to_string();
    assert!(
        error.ends_with("late.go changed while the build was running; run the command again"),
        "{error}"
    );
    let get = gofarm_proto::v1::GetRequest {
        build: BuildId(1).to_string(),
    };
    loop {
        let known = remote.connection.builds().get(get.clone()).await.unwrap();
        match known.into_inner().result() {
            gofarm_proto::v1::BuildResult::Unspecified => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            ended => break assert_eq!(ended, gofarm_proto::v1::BuildResult::Cancelled),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_dies_before_all_is_there_leaves_a_build_that_ends() {
    let folder = tempfile::tempdir().unwrap();
    let patience = Duration::from_millis(200);
    let farm = TestFarm::start_patient(&folder.path().join("farm"), 0, 100, patience);
    let ((project, late), never) = (Project::with_late(), CancellationToken::new());
    let remote = remote(&farm);
    let mut watch = project.told.clone();
    let mut submission = Submission::new(&remote, &project.told_to(1, &mut watch)).unwrap();
    tokio::select! {
        built = project.build(&remote, 1, &never) => panic!("{built:?}"),
        _ = project.wait_for("0 executed") => {}
    }
    // Somebody else looks on, who has not got the file.
    submission.supply = None;
    let mut story = project.story(&mut watch);
    let summary = remote
        .watch(&submission, &mut story, true, &never, OnCancel::Leave)
        .await
        .unwrap();
    assert_eq!(summary.result, BuildResult::Failed);
    let told = project.told.take();
    assert!(told.contains(&"1 failed".to_owned()), "{told:?}");
    // The thread that still reads it would keep the test from ending.
    write(&late, b"").await;
}
