//! Things that are no files where the worker expects files.

use gofarm_proto::v1::{self, step::Step};
use gofarm_worker::SandboxMode;

use crate::farm::*;
use crate::host::Host;

const SOCKET: &str =
    "perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => \"it\", Listen => 1) or die $!'";

/// Makes `w/it` with the script, and has it collected and used by every native step.
async fn refused_everywhere(farm: &Farm, host: &Host, script: &str, what: &str) {
    let (it, mine) = ("/__gofarm__/w/it", "/__gofarm__/w/mine");
    let pack = |archive: &str, member: &str| {
        step(Step::Pack(v1::Pack {
            archive: archive.to_owned(),
            members: strings(&[member]),
            drop_missing: Vec::new(),
        }))
    };
    let steps = [
        sh("true"),
        step(Step::CopyFile(v1::CopyFile {
            from: it.to_owned(),
            to: "/__gofarm__/w/copy".to_owned(),
        })),
        pack(it, mine),
        pack(mine, it),
        step(Step::ReplaceText(v1::ReplaceText {
            path: it.to_owned(),
            from: "a".to_owned(),
            to: "b".to_owned(),
        })),
        step(Step::GoArchive(v1::GoArchive {
            export: it.to_owned(),
            object: mine.to_owned(),
            build_id: "x".to_owned(),
        })),
    ];
    for native in steps {
        let prepared = sh(&format!("echo mine > mine; {script}"));
        let mut action = host_action(vec![prepared, native]);
        action.outputs = vec![output("it", it)];
        host.refuses(farm, &action, what).await;
    }
}

#[tokio::test]
async fn a_pipe_that_nobody_writes_to() {
    let host = Host::new();
    for farm in Farm::both() {
        refused_everywhere(&farm, &host, "mkfifo it", "is a named pipe").await;
        // Nor does one that takes the place of a file that is written.
        let written = vec![sh("mkfifo it"), write("/__gofarm__/w/it", "written")];
        let mut action = host_action(written);
        action.outputs = vec![output("it", "/__gofarm__/w/it")];
        let execution = host.attacked_by(&farm, &action).await.unwrap();
        assert_eq!(farm.output(&execution, "it").unwrap(), b"written");
    }
}

#[tokio::test]
async fn a_socket() {
    let host = Host::new();
    for farm in Farm::both() {
        refused_everywhere(&farm, &host, SOCKET, "is a socket").await;
    }
}

#[tokio::test]
async fn a_folder() {
    let host = Host::new();
    for farm in Farm::both() {
        refused_everywhere(&farm, &host, "mkdir it; echo > it/file", "is a folder").await;
        let written = vec![sh("mkdir it"), write("/__gofarm__/w/it", "written")];
        host.refuses(&farm, &host_action(written), "is a folder")
            .await;
    }
}

#[tokio::test]
async fn a_device() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("not tested: only root can make a device");
        return;
    }
    let host = Host::new();
    let farm = Farm::new(SandboxMode::Off);
    let made = farm.execute(&host_action(vec![sh("mknod it c 1 5")])).await;
    if made.unwrap().result.exit_code != 0 {
        eprintln!("not tested: this machine lets root make no device");
        return;
    }
    // /dev/zero: it has no end.
    refused_everywhere(&farm, &host, "mknod it c 1 5", "is a device").await;
    refused_everywhere(&farm, &host, "mknod it b 7 200", "is a device").await;
}

#[tokio::test]
async fn a_device_cannot_be_made_in_a_sandbox() {
    let Some(farm) = Farm::sandboxed() else {
        return;
    };
    let action = host_action(vec![sh("mknod it c 1 5")]);
    let execution = farm.execute(&action).await.unwrap();
    assert_ne!(execution.result.exit_code, 0);
}

#[tokio::test]
async fn a_file_larger_than_memory() {
    let host = Host::new();
    for farm in Farm::both() {
        let archive = step(Step::GoArchive(v1::GoArchive {
            export: "/__gofarm__/w/it".to_owned(),
            object: "/__gofarm__/w/it".to_owned(),
            build_id: "x".to_owned(),
        }));
        let action = host_action(vec![sh("truncate -s 8T it"), archive]);
        host.refuses(&farm, &action, "too large").await;
    }
}
