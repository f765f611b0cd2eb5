//! What an action sees, and what it is told about the rest.

use std::io::Write;

use gofarm_proto::Digest;
use gofarm_proto::v1::{self, step::Step};
use gofarm_worker::{ErrorClass, ExecuteError, Executor, SandboxMode, SandboxState};

use crate::farm::*;

#[test]
fn the_mode_decides_and_the_reason_is_told() {
    let off = Farm::new(SandboxMode::Off);
    assert_eq!(off.executor.sandbox(), &SandboxState::Off);
    let auto = Farm::new(SandboxMode::Auto);
    let required = Executor::new(off.store.clone(), options(SandboxMode::Required));
    match (auto.executor.sandbox(), required) {
        (SandboxState::Active, Ok(executor)) => {
            assert_eq!(executor.sandbox(), &SandboxState::Active);
        }
        (SandboxState::Unavailable { reason }, Err(error)) => {
            assert!(!reason.is_empty());
            assert!(error.to_string().contains(reason), "{error}");
            assert_eq!(error.class(), ErrorClass::Environment);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_program_that_is_no_launcher_is_found_out_at_once() {
    let farm = Farm::new(SandboxMode::Off);
    for program in ["/bin/true", "/bin/cat"] {
        let mut options = options(SandboxMode::Off);
        options.launcher.program = program.into();
        let error = Executor::new(farm.store.clone(), options).unwrap_err();
        assert!(error.to_string().contains(program), "{error}");
    }
}

#[tokio::test]
async fn there_is_nothing_but_the_declared_inputs() {
    let Some(farm) = Farm::sandboxed() else {
        return;
    };
    let mut action = host_action(vec![sh(
        "ls /; echo; ls -A /tmp /dev; echo; cd /__gofarm__; find . | sort",
    )]);
    action.inputs = vec![farm.input("/__gofarm__/main/a", b"x")];
    let execution = farm.execute(&action).await.unwrap();
    let text = log(&execution);
    let mut parts = text.split("\n\n");
    for entry in parts.next().unwrap().lines() {
        let expected = [
            "__gofarm__",
            "bin",
            "dev",
            "etc",
            "lib",
            "lib32",
            "lib64",
            "libx32",
            "proc",
            "sbin",
            "tmp",
            "usr",
        ];
        assert!(expected.contains(&entry), "{entry} is seen");
    }
    assert!(
        text.contains("/tmp:\n\n") && text.contains("/dev:\nfull\nnull\nrandom\nurandom\nzero\n"),
        "{text}"
    );
    assert!(
        text.ends_with("\n.\n./in\n./main\n./main/a\n./w\n"),
        "{text}"
    );
}

#[tokio::test]
async fn temporary_files_are_private() {
    let Some(farm) = Farm::sandboxed() else {
        return;
    };
    let mut outside = tempfile::Builder::new().tempfile_in("/tmp").unwrap();
    outside.write_all(b"secret").unwrap();
    let path = outside.path().to_str().unwrap();
    let script = format!("test ! -e {path} && touch /tmp/mine && ls /tmp");
    let execution = farm.execute(&host_action(vec![sh(&script)])).await.unwrap();
    assert_eq!(log(&execution), "mine\n");
    assert!(!std::path::Path::new("/tmp/mine").exists());
}

#[tokio::test]
async fn there_is_no_network() {
    let Some(farm) = Farm::sandboxed() else {
        return;
    };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let connect = format!("bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}' && echo connected");
    // The same command finds the listener where there is a network.
    let open = Farm::new(SandboxMode::Off);
    let execution = open
        .execute(&host_action(vec![sh(&connect)]))
        .await
        .unwrap();
    assert_eq!(log(&execution), "connected\n");
    let execution = farm
        .execute(&host_action(vec![sh(&connect)]))
        .await
        .unwrap();
    assert_ne!(execution.result.exit_code, 0);
    assert!(
        !log(&execution).contains("connected"),
        "{}",
        log(&execution)
    );
}

#[tokio::test]
async fn the_machine_and_the_blobs_cannot_be_written() {
    let Some(farm) = Farm::sandboxed() else {
        return;
    };
    let mut referred = farm.input("/__gofarm__/in/1/x", b"referred");
    referred.by_reference = true;
    let mut action = host_action(vec![
        write("/__gofarm__/w/ref", "/__gofarm__/in/1/x\n"),
        sh(
            "for f in ../main/a $(cat ref) /etc/hostname /usr/bin/env /usr/new; do \
            (echo broken >> $f) 2> /dev/null && echo wrote $f; \
            (chmod 777 $f) 2> /dev/null && test ! -O $f && echo changed $f; done; echo end",
        ),
    ]);
    action.inputs = vec![referred, farm.input("/__gofarm__/main/a", b"linked")];
    let execution = farm.execute(&action).await.unwrap();
    assert_eq!(log(&execution), "end\n");
    for content in [b"referred".as_slice(), b"linked"] {
        assert_eq!(farm.store.read(&Digest::of(content)).unwrap(), content);
    }
}

#[tokio::test]
async fn an_undeclared_read_names_the_path() {
    let Some(farm) = Farm::sandboxed() else {
        return;
    };
    let outside = tempfile::NamedTempFile::new().unwrap();
    let path = outside.path().to_str().unwrap();
    let action = host_action(vec![sh(&format!("cat {path}"))]);
    let execution = farm.execute(&action).await.unwrap();
    let note = format!(
        "gofarm: the action needs {path}, which is not among its declared inputs, so its sandbox does not show it"
    );
    assert!(log(&execution).contains(&note), "{}", log(&execution));
    assert_eq!(execution.undeclared, [path]);
    assert_eq!(execution.result.exit_code, 1);

    // A file that is nowhere is the tool's own trouble.
    let action = host_action(vec![sh("cat /nowhere/at/all")]);
    let execution = farm.execute(&action).await.unwrap();
    assert!(execution.undeclared.is_empty());
    assert!(!log(&execution).contains("gofarm:"), "{}", log(&execution));
}

#[tokio::test]
async fn an_undeclared_source_is_named_with_and_without_a_sandbox() {
    for farm in Farm::both() {
        let mut action = host_action(vec![sh(
            "cat /__gofarm__/main/a /__gofarm__/main/b /__gofarm__/w/c",
        )]);
        action.inputs = vec![farm.input("/__gofarm__/main/a", b"x\n")];
        let execution = farm.execute(&action).await.unwrap();
        assert_eq!(
            execution.undeclared,
            ["/__gofarm__/main/b"],
            "{}",
            log(&execution)
        );
    }
}

#[tokio::test]
async fn without_host_tools_the_machines_programs_are_not_there() {
    let Some(farm) = Farm::sandboxed() else {
        return;
    };
    // A shell as an input, without the loader and the libraries that it wants.
    let mut action = v1::Action {
        host_tools: false,
        ..host_action(vec![step(Step::Run(run(&[
            "/__gofarm__/goroot/sh",
            "-c",
            "exit",
        ])))])
    };
    let shell = farm.store.put_file("/bin/sh".as_ref()).unwrap();
    action.inputs = vec![known("/__gofarm__/goroot/sh", shell)];
    let error = farm.execute(&action).await.unwrap_err();
    let ExecuteError::CannotStart { reason, .. } = &error else {
        panic!("{error}");
    };
    assert!(
        reason.contains("/__gofarm__/goroot/sh") && reason.contains("loader"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_program_that_is_not_installed_is_named() {
    for farm in Farm::both() {
        let action = host_action(vec![step(Step::Run(run(&["no-such-compiler"])))]);
        let error = farm.execute(&action).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::User);
        assert!(
            error.to_string().contains(
                "there is no program no-such-compiler in PATH (/usr/local/bin:/usr/bin:/bin)"
            ),
            "{error}"
        );
    }
}
