//! Processes: how they end, and that none is left.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gofarm_proto::v1::step::Step;
use gofarm_store::{DiskStore, DiskStoreOptions};
use gofarm_worker::{ErrorClass, ExecuteError, Executor, LogSink, SandboxMode};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio_util::sync::CancellationToken;

use crate::farm::*;

/// Prints its own process and that of a grandchild, and waits for longer than any test does.
const FAMILY: &str = "sh -c 'sleep 1000 & echo grandchild $!; wait' & echo child $$; wait";

#[tokio::test]
async fn cancelling_ends_the_whole_family() {
    for farm in Farm::both() {
        let watched = Watched::default();
        let cancel = CancellationToken::new();
        let action = host_action(vec![sh(FAMILY)]);
        let (outcome, pids) = tokio::join!(farm.execute_with(&action, &cancel, &watched), async {
            let pids = [
                watched.line("child ").await,
                watched.line("grandchild ").await,
            ];
            assert!(pids.iter().all(|pid| is_alive(pid)));
            cancel.cancel();
            pids
        });
        assert!(
            matches!(outcome, Err(ExecuteError::Cancelled)),
            "{outcome:?}"
        );
        // At once, and reaped: no waiting here.
        for pid in &pids {
            assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
        }
    }
}

#[tokio::test]
async fn dropping_the_future_ends_the_whole_family() {
    for farm in Farm::both() {
        let watched = Watched::default();
        let action = host_action(vec![sh(FAMILY)]);
        let cancel = CancellationToken::new();
        let pids = tokio::select! {
            outcome = farm.execute_with(&action, &cancel, &watched) => panic!("{outcome:?}"),
            pids = async { [watched.line("child ").await, watched.line("grandchild ").await] } => pids,
        };
        assert_gone(&[&pids[0], &pids[1]]).await;
        farm.assert_clean();
    }
}

#[tokio::test]
async fn an_action_may_not_take_longer_than_it_says() {
    for farm in Farm::both() {
        let mut action = host_action(vec![sh(&format!("echo begun; {FAMILY}"))]);
        action.timeout_ms = 300;
        let begun = Instant::now();
        let error = farm.execute(&action).await.unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(20));
        assert_eq!(
            error.to_string(),
            "the action \"test\" was killed after 300ms, while sh was running"
        );
        let text = String::from_utf8_lossy(error.log()).into_owned();
        assert!(text.starts_with("begun\n"), "{text}");
        let pids: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split_once("child ").map(|(_, pid)| pid))
            .collect();
        assert_eq!(pids.len(), 2, "{text}");
        assert_gone(&pids).await;
    }
}

#[tokio::test]
async fn what_a_tool_leaves_behind_is_ended_with_it() {
    for farm in Farm::both() {
        let begun = Instant::now();
        let action = host_action(vec![sh(
            "sleep 1000 & setsid sh -c 'sleep 1000 & echo $! $$; wait' & echo $!; sleep 0.2",
        )]);
        let execution = farm.execute(&action).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(20));
        let text = log(&execution);
        let pids: Vec<&str> = text.split_whitespace().collect();
        assert_eq!(pids.len(), 3, "{text}");
        assert_gone(&pids).await;
    }
}

#[tokio::test]
async fn a_tool_that_was_killed_from_outside_ran_out_of_memory() {
    for farm in Farm::both() {
        let watched = Watched::default();
        let action = host_action(vec![sh("echo self $$; sleep 1000")]);
        let cancel = CancellationToken::new();
        let (outcome, ()) = tokio::join!(farm.execute_with(&action, &cancel, &watched), async {
            let pid = watched.line("self ").await;
            kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL).unwrap();
        });
        let error = outcome.unwrap_err();
        let ExecuteError::OutOfMemory {
            tool,
            peak_memory,
            log,
            ..
        } = &error
        else {
            panic!("{error}");
        };
        assert_eq!(tool, "sh");
        assert!(*peak_memory > 100 << 10);
        assert!(log.starts_with(b"self "));
        assert!(error.to_string().contains("signal: killed"), "{error}");
        assert_eq!(error.class(), ErrorClass::Environment);
    }
}

#[tokio::test]
async fn a_compiler_whose_child_was_killed_ran_out_of_memory_even_when_it_may_fail() {
    let farm = Farm::new(SandboxMode::Off);
    let mut run = run(&[
        "sh",
        "-c",
        "echo 'gcc: fatal error: Killed signal terminated program cc1'; exit 1",
    ]);
    run.failure_marker = "/__gofarm__/w/marker".to_owned();
    let error = farm
        .execute(&host_action(vec![step(Step::Run(run))]))
        .await
        .unwrap_err();
    assert!(matches!(error, ExecuteError::OutOfMemory { .. }), "{error}");
}

#[tokio::test]
async fn another_signal_is_called_by_its_name() {
    for farm in Farm::both() {
        let error = farm
            .execute(&host_action(vec![sh("kill -SEGV $$")]))
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "sh was ended by signal 11 (SIGSEGV)");
    }
}

#[tokio::test]
async fn a_full_disk_is_no_fault_of_the_action() {
    for farm in Farm::both() {
        let error = farm
            .execute(&host_action(vec![sh("head -c 10 /dev/zero > /dev/full")]))
            .await
            .unwrap_err();
        assert!(matches!(error, ExecuteError::Full { .. }), "{error}");
        assert!(String::from_utf8_lossy(error.log()).contains("No space left on device"));
    }
}

#[tokio::test]
async fn peak_memory_and_time_are_the_tools_own() {
    for farm in Farm::both() {
        // 64 MiB held at once by dd, which is not the process that was started but its child.
        let script = "dd if=/dev/zero of=/dev/null bs=64M count=4 2> /dev/null; sleep 0.1";
        let execution = farm.execute(&host_action(vec![sh(script)])).await.unwrap();
        let usage = execution.result.usage.unwrap();
        assert!(
            usage.peak_memory > 64 << 20 && usage.peak_memory < 128 << 20,
            "{usage:?}"
        );
        assert!(usage.wall_ms >= 100, "{usage:?}");
        assert!(usage.user_ms + usage.system_ms > 0, "{usage:?}");
    }
}

/// Programs are written, stored and run at once on many threads: each fork may hold another's program open for writing.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_program_that_was_just_written_can_be_run() {
    let farm = Arc::new(Farm::new(SandboxMode::Off));
    let mut all = tokio::task::JoinSet::new();
    for thread in 0..8 {
        let farm = farm.clone();
        all.spawn(async move {
            for round in 0..15 {
                let program = format!("#!/bin/sh\necho {thread} {round}\n");
                let mut action =
                    host_action(vec![step(Step::Run(run(&["/__gofarm__/goroot/tool"])))]);
                action.inputs = vec![farm.input("/__gofarm__/goroot/tool", program.as_bytes())];
                let task = farm.task(&action, &[]);
                let cancel = CancellationToken::new();
                let execution = farm
                    .executor
                    .execute(&task, &cancel, &(), None)
                    .await
                    .unwrap();
                assert_eq!(log(&execution), format!("{thread} {round}\n"));
            }
        });
    }
    while let Some(outcome) = all.join_next().await {
        outcome.unwrap();
    }
    farm.assert_clean();
}

/// A tool that is still open for writing when it is to be started, and closed a moment later.
#[tokio::test]
async fn a_busy_program_is_tried_again() {
    let farm = Farm::new(SandboxMode::Off);
    // Not a script: the kernel minds only for what it maps.
    let program = farm.store.put_file("/bin/true".as_ref()).unwrap();
    let blob = farm.store.path(&program);
    let mut action = host_action(vec![step(Step::Run(run(&["/__gofarm__/goroot/tool"])))]);
    action.inputs = vec![known("/__gofarm__/goroot/tool", program)];
    let writer = open_for_writing(&blob);
    let release = async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        drop(writer);
    };
    let (outcome, ()) = tokio::join!(farm.execute(&action), release);
    assert_eq!(outcome.unwrap().result.exit_code, 0);
}

fn open_for_writing(blob: &std::path::Path) -> std::fs::File {
    use std::os::unix::fs::PermissionsExt;
    // An ordinary user may only write to it while its mode says so.
    std::fs::set_permissions(blob, std::fs::Permissions::from_mode(0o755)).unwrap();
    let file = std::fs::File::options().append(true).open(blob).unwrap();
    std::fs::set_permissions(blob, std::fs::Permissions::from_mode(0o555)).unwrap();
    file
}

/// Prints what the tools print.
struct ToStdout;

impl LogSink for ToStdout {
    fn log(&self, chunk: &[u8]) {
        print!("{}", String::from_utf8_lossy(chunk));
    }
}

const STORE: &str = "GOFARM_TEST_STORE";

/// Not a test: the worker that the next test kills.
#[tokio::test]
#[ignore = "it runs until it is killed"]
async fn a_worker_until_it_is_killed() {
    let root = std::env::var_os(STORE).unwrap();
    let store = DiskStore::open(root.as_ref(), DiskStoreOptions::default()).unwrap();
    let mode = match std::env::var_os("GOFARM_TEST_SANDBOX") {
        Some(_) => SandboxMode::Auto,
        None => SandboxMode::Off,
    };
    let executor = Executor::new(store.clone(), options(mode)).unwrap();
    // Sees more than the other, so that its launcher is idle while that one runs.
    let mut before = host_action(vec![sh("echo the idle child $PPID")]);
    let referred = store.put_bytes(b"referred").unwrap();
    before.inputs = vec![gofarm_proto::v1::Input {
        by_reference: true,
        ..known("/__gofarm__/in/1/x", referred)
    }];
    for action in [before, host_action(vec![sh(FAMILY)])] {
        use gofarm_proto::Message;
        let definition = store.put_bytes(&action.encode_to_vec()).unwrap();
        let task = gofarm_worker::Task {
            key: gofarm_proto::ActionKey::new(&definition, []),
            definition,
            produced: Vec::new(),
            exclusive: false,
        };
        let _ = executor
            .execute(&task, &CancellationToken::new(), &ToStdout, None)
            .await;
    }
}

#[tokio::test]
async fn a_worker_that_is_killed_takes_its_tools_along() {
    for sandbox in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        #[allow(
            clippy::disallowed_methods,
            reason = "a process that can be killed is the point"
        )]
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command
            .args([
                "--ignored",
                "--exact",
                "--nocapture",
                "processes::a_worker_until_it_is_killed",
            ])
            .env(STORE, folder.path())
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        if sandbox {
            command.env("GOFARM_TEST_SANDBOX", "1");
        }
        let mut worker = command.spawn().unwrap();
        let mut pids = Vec::new();
        for line in BufReader::new(worker.stdout.take().unwrap()).lines() {
            if let Some((_, pid)) = line.unwrap().split_once("child ") {
                pids.push(pid.to_owned());
            }
            if pids.len() == 3 {
                break;
            }
        }
        assert!(
            pids.len() == 3 && pids.iter().all(|pid| is_alive(pid)),
            "{pids:?}"
        );
        worker.kill().unwrap();
        worker.wait().unwrap();
        assert_gone(&[&pids[1], &pids[2]]).await;
        // The idle launcher. Who reaps it is not ours to say.
        for _ in 0..2000 {
            if !is_alive(&pids[0]) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(!is_alive(&pids[0]));
    }
}
