//! Scratch folders that are kept, of actions that mean well and of others.

use std::fs;
use std::path::Path;

use gofarm_proto::v1;
use gofarm_worker::{ExecutorOptions, KeptWork, SandboxMode, SandboxState};

use crate::farm::*;
use crate::host::Host;

/// A file that was kept, and what is in it.
type Kept = (String, String);

/// What is kept of an action, without a sandbox and with one, where the machine has one.
async fn kept(make: impl Fn(&Farm) -> v1::Action, times: usize) -> Vec<Vec<Kept>> {
    let mut all = Vec::new();
    for sandbox in [SandboxMode::Off, SandboxMode::Auto] {
        let place = tempfile::tempdir().unwrap();
        let options = ExecutorOptions {
            kept_work: Some(KeptWork::in_folder(place.path()).unwrap()),
            ..options(sandbox)
        };
        let farm = Farm::with(tempfile::tempdir().unwrap(), options);
        if sandbox == SandboxMode::Auto && *farm.executor.sandbox() != SandboxState::Active {
            eprintln!("not tested: there is no sandbox on this machine");
            continue;
        }
        for _ in 0..times {
            // What comes of it is not the matter.
            let _ = farm.execute(&make(&farm)).await;
        }
        let mut found = Vec::new();
        collect(place.path(), place.path(), &mut found);
        found.sort();
        all.push(found);
    }
    all
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<Kept>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            collect(root, &path, found);
            continue;
        }
        assert!(entry.file_type().unwrap().is_file(), "{}", path.display());
        let name = path
            .strip_prefix(root)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        found.push((name, fs::read_to_string(&path).unwrap()));
    }
}

fn file(name: &str, text: &str) -> Kept {
    (name.to_owned(), text.to_owned())
}

fn labelled(steps: Vec<v1::Step>) -> v1::Action {
    v1::Action {
        label: "compile example.com/m".to_owned(),
        ..host_action(steps)
    }
}

#[tokio::test]
async fn outputs_and_what_was_written_beside_them() {
    let make = |farm: &Farm| v1::Action {
        inputs: vec![farm.input("/__gofarm__/main/a", b"input")],
        outputs: vec![output("out", "/__gofarm__/w/d/out")],
        ..labelled(vec![
            write("/__gofarm__/w/list", "listed\n"),
            sh("mkdir -p d; cp ../main/a d/out"),
        ])
    };
    for found in kept(make, 2).await {
        // Executed again, it is kept beside the first.
        let wanted = [
            file("compile-example.com_m-2/d/out", "input"),
            file("compile-example.com_m-2/list", "listed\n"),
            file("compile-example.com_m/d/out", "input"),
            file("compile-example.com_m/list", "listed\n"),
        ];
        assert_eq!(found, wanted);
    }
}

#[tokio::test]
async fn what_a_failed_action_has_left() {
    let make = |_: &Farm| labelled(vec![sh("echo half > out; exit 1")]);
    for found in kept(make, 1).await {
        assert_eq!(found, [file("compile-example.com_m/out", "half\n")]);
    }
}

#[tokio::test]
async fn links_to_the_machine_are_not_followed() {
    let host = Host::new();
    for way in [
        "ln -s HOST/secret secret; ln -s HOST sub; mkdir d; ln -s HOST/sub d/e",
        "cd ..; rm -r w; ln -s HOST w",
        "mkfifo pipe",
    ] {
        let script = way.replace("HOST", host.path());
        let make = |farm: &Farm| {
            let _ = farm;
            labelled(vec![sh(&script)])
        };
        for found in kept(make, 1).await {
            assert_eq!(found, [], "{way}");
        }
        host.assert_untouched(&Farm::new(SandboxMode::Off), &way);
    }
}
