//! Real processes in which something panics.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::process::{Command, ExitCode, Output};
use std::time::Duration;

use gofarm_daemon::{LogFormat, live, panics, vital};

/// Runs one of the tests below that are no tests, as a process of its own.
#[allow(clippy::disallowed_methods, reason = "the one wrapper of these tests")]
fn process(name: &str) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--ignored", "--nocapture"]);
    command.env_remove("RUST_BACKTRACE").env_remove("RUST_LOG");
    command.output().unwrap()
}

/// Ends this process as its `main` would.
fn end(code: ExitCode) -> ! {
    let ends = [0, 2, 3, 4];
    let same = |end: &&u8| format!("{:?}", ExitCode::from(**end)) == format!("{code:?}");
    let end = ends.iter().find(same).copied().unwrap_or(u8::MAX);
    std::process::exit(end.into())
}

#[test]
fn a_process_whose_vital_part_panics_ends_and_says_which() {
    let output = process("vital_part");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(
        said.contains("the heart has panicked (it stopped)"),
        "{said}"
    );
    assert!(
        said.contains(r#""place":"daemon/tests/panics.rs:"#),
        "{said}"
    );
}

#[test]
#[ignore = "a process of the test before"]
fn vital_part() {
    end(live(LogFormat::Json, async || {
        tokio::spawn(vital("the heart", async { panic!("it stopped") }));
        std::future::pending().await
    }))
}

#[test]
fn a_process_outlives_a_panic_of_anything_else() {
    let output = process("other_part");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("it slipped"), "{said}");
}

#[test]
#[ignore = "a process of the test before"]
fn other_part() {
    end(live(LogFormat::Json, async || {
        let slipped = tokio::spawn(async { panic!("it slipped") });
        let ended = tokio::time::timeout(Duration::from_secs(20), slipped).await?;
        anyhow::ensure!(ended.is_err() && panics() == 1);
        Ok(())
    }))
}

#[test]
fn a_process_whose_first_task_panics_ends_as_a_defect() {
    let output = process("first_task");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("it fell"), "{said}");
}

#[test]
#[ignore = "a process of the test before"]
fn first_task() {
    end(live(LogFormat::Json, async || panic!("it fell")))
}
