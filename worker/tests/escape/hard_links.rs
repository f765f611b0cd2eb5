//! Second names of files that are not the action's.
//!
//! In a sandbox an action can make them only for what is staged for it; without one, for what its user can read.

use gofarm_proto::Digest;
use gofarm_proto::v1::{self, step::Step};
use gofarm_worker::SandboxMode;

use crate::farm::*;
use crate::host::Host;

const ARCHIVE: &str = "!<arch>\n";

fn outputs(names: &[&str]) -> Vec<v1::Output> {
    let output = |name: &&str| output(name, &format!("/__gofarm__/w/{name}"));
    names.iter().map(output).collect()
}

#[tokio::test]
async fn an_output_that_is_a_file_of_the_machine_by_another_name() {
    let host = Host::new();
    let farm = Farm::new(SandboxMode::Off);
    let mut action = host_action(vec![sh(&format!("ln {}/secret out", host.path()))]);
    action.outputs = outputs(&["out"]);
    host.refuses(&farm, &action, "another name").await;
}

#[tokio::test]
async fn a_file_of_the_machine_by_another_name_that_the_worker_reads_or_writes() {
    let host = Host::new();
    let farm = Farm::new(SandboxMode::Off);
    let mine = "/__gofarm__/w/mine";
    let linked = "/__gofarm__/w/linked";
    let copy = Step::CopyFile(v1::CopyFile {
        from: linked.to_owned(),
        to: mine.to_owned(),
    });
    let pack = |archive: &str, member: &str| {
        Step::Pack(v1::Pack {
            archive: archive.to_owned(),
            members: strings(&[member]),
            drop_missing: Vec::new(),
        })
    };
    let replace = Step::ReplaceText(v1::ReplaceText {
        path: linked.to_owned(),
        from: "secret".to_owned(),
        to: "replaced".to_owned(),
    });
    let archive = Step::GoArchive(v1::GoArchive {
        export: linked.to_owned(),
        object: mine.to_owned(),
        build_id: "x".to_owned(),
    });
    for native in [
        copy,
        pack(linked, mine),
        pack(mine, linked),
        replace,
        archive,
    ] {
        let link = sh(&format!(
            "ln {}/secret linked; printf '{ARCHIVE}' > mine",
            host.path()
        ));
        let mut action = host_action(vec![link, step(native)]);
        action.outputs = outputs(&["mine"]);
        host.refuses(&farm, &action, "another name").await;
    }
}

#[tokio::test]
async fn an_output_that_is_an_input_by_another_name_leaves_the_blob_as_it_is() {
    let host = Host::new();
    for farm in Farm::both() {
        let mut action = host_action(vec![sh("ln ../main/a out; ln ../main/a again")]);
        action.inputs = vec![farm.input("/__gofarm__/main/a", b"an input")];
        action.outputs = outputs(&["out", "again"]);
        action.outputs.push(output("itself", "/__gofarm__/main/a"));
        let execution = host.attacked_by(&farm, &action).await.unwrap();
        for name in ["out", "again", "itself"] {
            assert_eq!(farm.output(&execution, name).unwrap(), b"an input");
        }
        assert!(farm.store.contains(&Digest::of(b"an input")));
    }
}

#[tokio::test]
async fn outputs_that_are_one_file_are_both_collected() {
    for farm in Farm::both() {
        let mut action = host_action(vec![sh("echo x > a; ln a b; mkdir d; ln a d/c")]);
        action.outputs = outputs(&["a", "b"]);
        let execution = farm.execute(&action).await.unwrap();
        for name in ["a", "b"] {
            assert_eq!(farm.output(&execution, name).unwrap(), b"x\n");
        }
        assert!(farm.store.contains(&Digest::of(b"x\n")));
    }
}

#[tokio::test]
async fn a_blob_by_another_name_that_a_step_would_write_into() {
    let host = Host::new();
    for farm in Farm::both() {
        let pack = Step::Pack(v1::Pack {
            archive: "/__gofarm__/w/linked".to_owned(),
            members: strings(&["/__gofarm__/w/mine"]),
            drop_missing: Vec::new(),
        });
        let replace = Step::ReplaceText(v1::ReplaceText {
            path: "/__gofarm__/w/linked".to_owned(),
            from: "arch".to_owned(),
            to: "ARCH".to_owned(),
        });
        for native in [pack, replace] {
            let link = sh("echo mine > mine; ln ../main/a linked");
            let mut action = host_action(vec![link, step(native)]);
            action.inputs = vec![farm.input("/__gofarm__/main/a", ARCHIVE.as_bytes())];
            host.refuses(&farm, &action, "another name").await;
            let blob = Digest::of(ARCHIVE.as_bytes());
            assert_eq!(farm.store.read(&blob).unwrap(), ARCHIVE.as_bytes());
            assert!(farm.store.contains(&blob));
        }
    }
}
