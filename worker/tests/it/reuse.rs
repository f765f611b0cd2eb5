//! Actions that one launcher serves, one after the other: nothing of one is there for the next.

use std::time::Duration;

use gofarm_worker::Execution;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio_util::sync::CancellationToken;

use crate::farm::*;

/// Prints the launcher, which is the parent of what it starts.
const WHO: &str = "echo launcher $PPID";

async fn succeeds(farm: &Farm, script: &str) -> Execution {
    let execution = farm.execute(&host_action(vec![sh(script)])).await.unwrap();
    assert_eq!(execution.result.exit_code, 0, "{}", log(&execution));
    execution
}

/// What a script prints.
async fn said(farm: &Farm, script: &str) -> String {
    log(&succeeds(farm, script).await)
}

fn pid_of(launcher: &str) -> &str {
    launcher.trim().trim_start_matches("launcher ")
}

async fn ended(launcher: &str) {
    let pid = pid_of(launcher);
    for _ in 0..2000 {
        // What it had open is closed by the last of its threads.
        let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
        if !is_alive(pid) && threads.map_or(0, Iterator::count) <= 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{launcher} is still there");
}

fn kill_hard(pid: &str) {
    kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn one_launcher_serves_one_action_after_the_other_and_goes_with_the_worker() {
    for farm in Farm::both() {
        let first = said(&farm, WHO).await;
        assert_eq!(said(&farm, WHO).await, first);
        // A tool that fails is no reason to begin anew.
        let failed = farm.execute(&host_action(vec![sh("exit 3")])).await;
        assert_eq!(failed.unwrap().result.exit_code, 3);
        assert_eq!(said(&farm, WHO).await, first);
        drop(farm);
        ended(&first).await;
    }
}

#[tokio::test]
async fn a_launcher_serves_only_actions_that_see_the_same() {
    let Some(farm) = Farm::sandboxed() else {
        return;
    };
    let first = said(&farm, WHO).await;
    let mut referring = host_action(vec![sh(&format!("{WHO}; test -d /__gofarm_cas__"))]);
    let mut input = farm.input("/__gofarm__/in/1/x", b"referred");
    input.by_reference = true;
    referring.inputs = vec![input];
    let other = farm.execute(&referring).await.unwrap();
    assert_eq!(other.result.exit_code, 0);
    assert_ne!(log(&other), first);
    let again = said(&farm, &format!("{WHO}; test ! -e /__gofarm_cas__")).await;
    assert_eq!(again, first);
}

#[tokio::test]
async fn nothing_of_an_action_is_there_for_the_next() {
    let Some(farm) = Farm::sandboxed() else {
        return;
    };
    let who = said(
        &farm,
        &format!(
            "{WHO}; (ipcmk -Q && ipcmk -M 4096 && ipcmk -S 1) > /dev/null; touch /tmp/x x; \
            test $(cat /proc/sysvipc/msg /proc/sysvipc/shm /proc/sysvipc/sem | wc -l) = 6; \
            mkdir -p /tmp/d && chmod 0 /tmp/d"
        ),
    )
    .await;
    // Each of the lists has a headline.
    let next = format!(
        "{WHO}; cat /proc/sysvipc/msg /proc/sysvipc/shm /proc/sysvipc/sem | wc -l; ls -A /tmp ."
    );
    assert_eq!(
        said(&farm, &next).await,
        format!("{who}3\n.:\n\n/tmp:\n"),
        "by the same launcher"
    );
}

/// A namespace, with what is in it, stays for as long as any thread is in it.
#[tokio::test]
async fn no_thread_of_the_launcher_stays_where_an_action_was() {
    let Some(farm) = Farm::sandboxed() else {
        return;
    };
    let ipc = "echo $PPID $(readlink /proc/self/ns/ipc)";
    let (first, second) = (said(&farm, ipc).await, said(&farm, ipc).await);
    let (launcher, left) = first.trim().split_once(' ').unwrap();
    let (same, present) = second.trim().split_once(' ').unwrap();
    assert_eq!(launcher, same);
    let threads = std::fs::read_dir(format!("/proc/{launcher}/task")).unwrap();
    let inhabited: Vec<String> = threads
        .map(|thread| std::fs::read_link(thread.unwrap().path().join("ns/ipc")).unwrap())
        .map(|namespace| namespace.to_str().unwrap().to_owned())
        .collect();
    assert!(inhabited.len() > 1 && inhabited.contains(&present.to_owned()));
    assert!(
        !inhabited.contains(&left.to_owned()),
        "{left} is still inhabited: {inhabited:?}"
    );
}

/// The new root is memory of the launcher's, and what holds it together is not the action's to change.
#[tokio::test]
async fn an_action_can_write_nowhere_but_where_the_worker_tidies_up() {
    let Some(farm) = Farm::sandboxed() else {
        return;
    };
    let script = "for f in /x /dev/x /lib/x /proc/x; do (echo x > $f) 2> /dev/null && echo wrote $f; done; \
        (rm /dev/null || rm -r /tmp || mv /tmp /t || ln -s x /y || umount /tmp || mount -t tmpfs x /tmp) 2> /dev/null && echo changed; \
        chmod 777 / 2> /dev/null && echo opened; echo end";
    assert_eq!(said(&farm, script).await, "end\n");
}

#[tokio::test]
async fn a_folder_that_an_action_has_closed_is_not_given_to_another() {
    for farm in Farm::both() {
        let script = format!("{WHO}; chmod 711 $(dirname $PWD)");
        let first = said(&farm, &script).await;
        assert_ne!(said(&farm, WHO).await, first);
        ended(&first).await;
    }
}

#[tokio::test]
async fn two_actions_at_once_cannot_reach_each_other() {
    let Some(farm) = Farm::sandboxed() else {
        return;
    };
    let namespaces = "echo namespaces $(readlink /proc/self/ns/net /proc/self/ns/ipc /proc/self/ns/mnt /proc/self/ns/user)";
    let watched = Watched::default();
    let cancel = CancellationToken::new();
    let long = host_action(vec![sh(&format!("touch x; {namespaces}; sleep 1000"))]);
    let task = farm.task(&long, &[]);
    let execution = farm.executor.execute(&task, &cancel, &watched, None);
    let (_, ()) = tokio::join!(execution, async {
        let first = watched.line("namespaces ").await;
        let task = farm.task(&host_action(vec![sh(&format!("ls; {namespaces}"))]), &[]);
        let uncancelled = CancellationToken::new();
        let second = farm.executor.execute(&task, &uncancelled, &(), None);
        let second = log(&second.await.unwrap());
        // The first line is no file.
        let second = second.strip_prefix("namespaces ").unwrap();
        let both = first.split_whitespace().zip(second.split_whitespace());
        assert_eq!(both.clone().count(), 4, "{first}, {second}");
        for (first, second) in both {
            assert_ne!(first, second);
        }
        cancel.cancel();
    });
    farm.assert_clean();
}

#[tokio::test]
async fn a_launcher_that_has_died_meanwhile_is_replaced() {
    for farm in Farm::both() {
        let first = said(&farm, WHO).await;
        kill_hard(pid_of(&first));
        ended(&first).await;
        assert_ne!(said(&farm, WHO).await, first);
    }
}

#[tokio::test]
async fn a_launcher_whose_action_was_broken_off_serves_no_other() {
    for farm in Farm::both() {
        let watched = Watched::default();
        let cancel = CancellationToken::new();
        let action = host_action(vec![sh(&format!("{WHO}; sleep 1000"))]);
        let (outcome, first) = tokio::join!(farm.execute_with(&action, &cancel, &watched), async {
            let first = watched.line("launcher ").await;
            cancel.cancel();
            first
        });
        outcome.unwrap_err();
        assert!(!is_alive(&first));
        assert_ne!(said(&farm, WHO).await, format!("launcher {first}\n"));
    }
}

#[tokio::test]
async fn a_launcher_that_is_killed_while_a_tool_runs_takes_it_along() {
    for farm in Farm::both() {
        let watched = Watched::default();
        let cancel = CancellationToken::new();
        let script = format!("{WHO}; sleep 1000 & echo child $!; echo self $$; wait");
        let action = host_action(vec![sh(&script)]);
        let (outcome, tools) = tokio::join!(farm.execute_with(&action, &cancel, &watched), async {
            let tools = [watched.line("child ").await, watched.line("self ").await];
            kill_hard(&watched.line("launcher ").await);
            tools
        });
        let error = outcome.unwrap_err().to_string();
        assert!(
            error.starts_with("the launcher of the action's tools failed: it ended early"),
            "{error}"
        );
        for tool in &tools {
            ended(tool).await;
        }
    }
}

#[tokio::test]
async fn folders_of_an_action_that_was_dropped_are_not_given_to_another() {
    for farm in Farm::both() {
        said(&farm, WHO).await;
        let folders = || std::fs::read_dir(farm.store.scratch_dir()).unwrap().count();
        assert_eq!(folders(), 1);
        let (watched, cancel) = (Watched::default(), CancellationToken::new());
        let action = host_action(vec![sh("echo begun; sleep 1000")]);
        tokio::select! {
            outcome = farm.execute_with(&action, &cancel, &watched) => panic!("{outcome:?}"),
            _ = watched.line("begun") => {}
        }
        assert_eq!(folders(), 0);
    }
}

#[tokio::test]
async fn a_folder_that_was_replaced_is_seen_as_it_is_now() {
    let Some(farm) = Farm::sandboxed() else {
        return;
    };
    // A folder of the machine that a test may replace: the blobs.
    let mut action = host_action(vec![sh(&format!("{WHO}; ls /__gofarm_cas__"))]);
    let mut input = farm.input("/__gofarm__/in/1/x", b"referred");
    input.by_reference = true;
    action.inputs = vec![input];
    let first = log(&farm.execute(&action).await.unwrap());
    assert_eq!(log(&farm.execute(&action).await.unwrap()), first);

    let blob = farm.store.put_bytes(b"referred").unwrap();
    let blobs = farm.store.path(&blob);
    let blobs = blobs.parent().unwrap().parent().unwrap();
    let aside = blobs.with_extension("aside");
    std::fs::rename(blobs, &aside).unwrap();
    std::fs::create_dir(blobs).unwrap();
    for entry in std::fs::read_dir(&aside).unwrap() {
        let entry = entry.unwrap();
        std::fs::rename(entry.path(), blobs.join(entry.file_name())).unwrap();
    }
    let then = log(&farm.execute(&action).await.unwrap());
    let list = |said: &str| said.split_once('\n').unwrap().1.to_owned();
    assert!(!list(&then).is_empty());
    assert_eq!(list(&then), list(&first));
    assert_ne!(then, first);
}

#[tokio::test]
async fn a_launcher_whose_limits_were_changed_serves_no_other() {
    for farm in Farm::both() {
        let script = format!("{WHO}; prlimit --pid $PPID --nofile=99:");
        let first = said(&farm, &script).await;
        let next = said(&farm, &format!("{WHO}; ulimit -Sn")).await;
        let (launcher, limit) = next.trim().split_once('\n').unwrap();
        assert_ne!(launcher, first.trim());
        assert_ne!(limit, "99");
        ended(&first).await;
    }
}

#[tokio::test]
async fn memory_and_time_are_those_of_one_action() {
    for farm in Farm::both() {
        let large = succeeds(
            &farm,
            "dd if=/dev/zero of=/dev/null bs=64M count=40 2> /dev/null",
        );
        let large = large.await.result.usage.unwrap();
        let small = succeeds(&farm, "true").await.result.usage.unwrap();
        assert!(large.peak_memory > 64 << 20, "{large:?}");
        assert!(
            small.peak_memory > 0 && small.peak_memory < 32 << 20,
            "{small:?}"
        );
        let time = |usage: gofarm_proto::v1::Usage| usage.user_ms + usage.system_ms;
        assert!(time(large) > time(small), "{large:?}, {small:?}");
    }
}

/// The pipe is one for all tools of a launcher, and its flags belong to the pipe.
#[tokio::test]
async fn output_that_an_action_has_made_not_to_block_blocks_for_the_next() {
    let flags = "grep flags: /proc/self/fdinfo/2";
    for farm in Farm::both() {
        let before = said(&farm, flags).await;
        // dd gives its flags to its standard output.
        let script = format!("dd if=/dev/null oflag=nonblock status=none; {flags}");
        assert_ne!(said(&farm, &script).await, before);
        assert_eq!(said(&farm, flags).await, before);
    }
}
