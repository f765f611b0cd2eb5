//! What an action leaves behind, and what becomes of it when the worker tidies up.

use std::os::unix::fs::PermissionsExt;

use gofarm_worker::SandboxMode;

use crate::farm::*;
use crate::host::Host;

/// Runs the script, which succeeds, and looks at the worker and at the host.
async fn leaves(script: &str) {
    let host = Host::new();
    for farm in Farm::both() {
        let script = script.replace("HOST", host.path());
        let mut action = host_action(vec![sh(&script)]);
        action.inputs = vec![farm.input("/__gofarm__/main/a", b"x")];
        let execution = host.attacked_by(&farm, &action).await.unwrap();
        assert_eq!(execution.result.exit_code, 0, "{}", log(&execution));
    }
}

#[tokio::test]
async fn a_tree_of_links_whose_removal_would_follow_them() {
    leaves(
        "ln -s HOST a; ln -s HOST/sub b; ln -s HOST/secret c; mkdir -p d/e; ln -s HOST d/e/f; \
         ln -s / g; ln -s . h; ln -s .. i; ln -s HOST ../j; ln -s HOST ../in/k; ln -s HOST ../main/l",
    )
    .await;
}

#[tokio::test]
async fn links_in_the_folder_for_temporary_files() {
    let host = Host::new();
    let Some(farm) = Farm::sandboxed() else {
        return;
    };
    let script = "ln -s HOST /tmp/a; mkdir -p /tmp/b/c; ln -s HOST /tmp/b/c/d; chmod 0 /tmp/b/c";
    let action = host_action(vec![sh(&script.replace("HOST", host.path()))]);
    let execution = host.attacked_by(&farm, &action).await.unwrap();
    assert_eq!(execution.result.exit_code, 0, "{}", log(&execution));
}

#[tokio::test]
async fn a_tree_deeper_than_any_stack_or_table_of_files() {
    let host = Host::new();
    // In memory where there is such a folder: ext4 takes milliseconds for each of many folders.
    let folder = || tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    for mode in [SandboxMode::Off, SandboxMode::Auto] {
        let farm = Farm::new_in(folder().unwrap(), mode);
        // A thousand levels at a time: a path has 4,096 bytes at most.
        let script = "p=d; for i in 1 2 3 4 5 6 7 8 9; do p=$p/d; done; \
             q=$p; for i in 1 2 3 4 5 6 7 8 9; do q=$q/$p; done; \
             for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do \
             mkdir -p $q && cd -P $q && : > file && ln -s HOST link || exit 1; done";
        let action = host_action(vec![sh(&script.replace("HOST", host.path()))]);
        let execution = host.attacked_by(&farm, &action).await.unwrap();
        assert_eq!(execution.result.exit_code, 0, "{}", log(&execution));
    }
}

#[tokio::test]
async fn folders_that_cannot_be_read_or_entered() {
    leaves(
        "mkdir -p a/b/c e f; : > a/b/c/file; ln -s HOST a/b/link; ln -s HOST f/link; : > e/file; \
         chmod 0 a/b/c; chmod 0111 a/b; chmod 0 a; chmod 0444 e; chmod 0555 f; \
         chmod 0 ../main ../in /__gofarm__/w; chmod 0 /__gofarm__",
    )
    .await;
}

#[tokio::test]
async fn a_folder_that_has_become_a_file_and_a_file_that_has_become_a_folder() {
    leaves("cd ..; rm -r w main in; : > w; : > in; mkdir -p main/a/b; : > main/a/b/c").await;
    let host = Host::new();
    for farm in Farm::both() {
        let mut action = host_action(vec![sh("cd ..; rm -r w; echo > w")]);
        action.outputs = vec![output("out", "/__gofarm__/w/out")];
        host.refuses(&farm, &action, "is not a folder").await;
    }
}

#[tokio::test]
async fn names_that_are_no_text() {
    leaves(
        "for n in \"$(printf 'a\\nb')\" \"$(printf '\\377\\376')\" '*' '-rf' ' ' '...'; do \
         : > \"./$n\"; mkdir -p \"./d/$n/$n\"; ln -s HOST \"./d/$n/$n/l\"; done",
    )
    .await;
    for farm in Farm::both() {
        let mut action = host_action(vec![sh("echo x > \"$(printf 'a\\nb')\"")]);
        action.outputs = vec![output("out", "/__gofarm__/w/a\nb")];
        let execution = farm.execute(&action).await.unwrap();
        assert_eq!(farm.output(&execution, "out").unwrap(), b"x\n");
    }
}

#[tokio::test]
async fn the_exec_root_exchanged_for_a_link() {
    let host = Host::new();
    let farm = Farm::new(SandboxMode::Off);
    let root = "$(dirname \"$PWD\")";
    let base = "$(dirname \"$(dirname \"$PWD\")\")";
    for (name, folder) in [("exec root", root), ("workspace", base)] {
        let exchange = sh(&format!(
            "r={folder}; cd /; mv \"$r\" \"$r.aside\" && ln -s {} \"$r\"",
            host.path()
        ));
        let mut action = host_action(vec![exchange.clone(), write("/__gofarm__/w/new", "mine")]);
        action.outputs = vec![output("out", "/__gofarm__/w/new")];
        let execution = host.attacked_by(&farm, &action).await.unwrap();
        assert_eq!(
            farm.output(&execution, "out").unwrap(),
            b"mine",
            "{name}: {}",
            log(&execution)
        );
        let mut action = host_action(vec![exchange]);
        action.outputs = vec![output("out", "/__gofarm__/w/secret")];
        host.refuses(&farm, &action, "without writing its output")
            .await;
    }
}

#[tokio::test]
async fn folders_that_may_be_written_by_all_are_not_given_to_the_next_action() {
    for farm in Farm::both() {
        let mut action = host_action(vec![sh("chmod 0777 . .. ../main; mkdir -m 0777 d")]);
        action.inputs = vec![farm.input("/__gofarm__/main/a", b"x")];
        farm.execute(&action).await.unwrap();
        let watched = Watched::default();
        let task = farm.task(&host_action(vec![sh("stat -c %a . ..")]), &[]);
        let cancel = tokio_util::sync::CancellationToken::new();
        let execution = farm.executor.execute(&task, &cancel, &(), Some(&watched));
        assert_eq!(log(&execution.await.unwrap()), "755\n755\n");
        let root = watched.commands.lock().unwrap()[0].exec_root.clone();
        let mode = std::fs::metadata(root).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o755);
    }
}
