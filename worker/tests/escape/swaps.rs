//! A folder that is a folder when it is looked at, and a link when it is used.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gofarm_proto::v1::{self, step::Step};
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use tokio_util::sync::CancellationToken;

use crate::farm::*;
use crate::host::{Host, assert_usable, does_not_hang};

/// An action ends at the first step that meets the link.
const STEPS: usize = 20;
const ACTIONS: usize = 15;

/// What a process could do that outlives its step: exchanges a folder and a link until it is told to stop.
fn swap(work: &Path, stop: &AtomicBool) {
    let (folder, link) = (work.join("d"), work.join("link"));
    while !stop.load(Ordering::Relaxed) {
        // Fails at the end, when the tree goes.
        let _ = renameat2(
            AT_FDCWD,
            &folder,
            AT_FDCWD,
            &link,
            RenameFlags::RENAME_EXCHANGE,
        );
    }
}

/// Does the step again and again while `w/d`, a folder, and `w/link`, a link to the host, change places.
async fn swapped(native: Step) {
    let host = Host::new();
    for farm in Farm::both() {
        let begin = format!(
            "mkdir d; ln -s {} link; printf '!<arch>\\nmine' | tee mine > d/secret; \
             echo begun; while ! test -e go; do sleep 0.01; done",
            host.path()
        );
        let mut action = host_action(vec![sh(&begin)]);
        action.steps.extend(vec![step(native.clone()); STEPS]);
        action.outputs = vec![v1::Output {
            optional: true,
            ..output("out", "/__gofarm__/w/d/secret")
        }];
        let task = farm.task(&action, &[]);
        for _ in 0..ACTIONS {
            let (watched, cancel) = (Watched::default(), CancellationToken::new());
            let executing = farm
                .executor
                .execute(&task, &cancel, &watched, Some(&watched));
            let swapping = async {
                watched.line("begun").await;
                let root = watched.commands.lock().unwrap()[0].exec_root.clone();
                let (work, stop) = (root.join("w"), Arc::new(AtomicBool::new(false)));
                std::fs::write(work.join("go"), "").unwrap();
                let stopped = stop.clone();
                (std::thread::spawn(move || swap(&work, &stopped)), stop)
            };
            let (swapper, executing) = (swapping, does_not_hang(executing));
            tokio::pin!(executing);
            let (thread, stop) = tokio::select! {
                outcome = &mut executing => panic!("it ended early: {outcome:?}"),
                swapper = swapper => swapper,
            };
            let outcome = executing.await;
            stop.store(true, Ordering::Relaxed);
            thread.join().unwrap();
            host.assert_untouched(&farm, &outcome.as_ref().map(log));
        }
        assert_usable(&farm).await;
        farm.assert_clean();
    }
}

#[tokio::test]
async fn while_a_file_is_written() {
    swapped(Step::WriteFile(v1::WriteFile {
        path: "/__gofarm__/w/d/secret".to_owned(),
        content: b"written".to_vec(),
    }))
    .await;
}

#[tokio::test]
async fn while_a_file_is_copied_from_there() {
    swapped(Step::CopyFile(v1::CopyFile {
        from: "/__gofarm__/w/d/secret".to_owned(),
        to: "/__gofarm__/w/d/copy".to_owned(),
    }))
    .await;
}

#[tokio::test]
async fn while_an_archive_is_packed_there() {
    swapped(Step::Pack(v1::Pack {
        archive: "/__gofarm__/w/d/secret".to_owned(),
        members: strings(&["/__gofarm__/w/mine"]),
        drop_missing: Vec::new(),
    }))
    .await;
}

#[tokio::test]
async fn while_text_is_replaced_there() {
    swapped(Step::ReplaceText(v1::ReplaceText {
        path: "/__gofarm__/w/d/secret".to_owned(),
        from: "arch".to_owned(),
        to: "ARCH".to_owned(),
    }))
    .await;
}
