//! Steps that the worker does itself, on paths that an earlier step has made to lead out of the tree.

use gofarm_proto::v1::{self, step::Step};

use crate::farm::*;
use crate::host::Host;
use crate::links::ways;

fn copy(from: &str, to: &str) -> v1::Step {
    step(Step::CopyFile(v1::CopyFile {
        from: from.to_owned(),
        to: to.to_owned(),
    }))
}

fn pack(archive: &str, member: &str) -> v1::Step {
    step(Step::Pack(v1::Pack {
        archive: archive.to_owned(),
        members: strings(&[member]),
        drop_missing: Vec::new(),
    }))
}

fn replace(path: &str) -> v1::Step {
    step(Step::ReplaceText(v1::ReplaceText {
        path: path.to_owned(),
        from: "secret".to_owned(),
        to: "replaced".to_owned(),
    }))
}

fn go_archive(export: &str, object: &str) -> v1::Step {
    step(Step::GoArchive(v1::GoArchive {
        export: export.to_owned(),
        object: object.to_owned(),
        build_id: "x".to_owned(),
    }))
}

/// Does the step after the folder `w/d` was made to lead to the host in each way, and after `w/l` was made a link to the
/// secret. `w/mine` is a file and `w/pkg.a` an archive of the action's own. What is refused is named.
async fn refused(step: v1::Step, what: &str) {
    let host = Host::new();
    for farm in Farm::both() {
        for way in ways(&host) {
            let prepared = sh(&format!(
                "ln -s {}/secret l; echo mine > mine; printf '!<arch>\\n' > pkg.a",
                host.path()
            ));
            let mut action = host_action(vec![way, prepared, step.clone()]);
            action.outputs = ["copy", "pkg.a", "l"]
                .map(|name| v1::Output {
                    optional: true,
                    ..output(name, &format!("/__gofarm__/w/{name}"))
                })
                .into();
            host.refuses(&farm, &action, what).await;
        }
    }
}

#[tokio::test]
async fn a_file_written_below_a_linked_folder() {
    for path in ["secret", "new", "new/folder/file", "sub/secret"] {
        refused(
            write(&format!("/__gofarm__/w/d/{path}"), "x"),
            "symbolic link",
        )
        .await;
    }
}

#[tokio::test]
async fn a_file_copied_into_a_linked_folder() {
    for path in ["secret", "new", "new/folder/file"] {
        let to = format!("/__gofarm__/w/d/{path}");
        refused(copy("/__gofarm__/w/mine", &to), "symbolic link").await;
    }
}

#[tokio::test]
async fn a_file_of_the_machine_copied_from_a_linked_folder() {
    for from in ["d/secret", "d/sub/secret", "l"] {
        let from = format!("/__gofarm__/w/{from}");
        refused(copy(&from, "/__gofarm__/w/copy"), "symbolic link").await;
    }
}

#[tokio::test]
async fn an_archive_of_the_machine_that_members_are_packed_into() {
    for archive in ["d/secret", "d/sub/secret", "l"] {
        let archive = format!("/__gofarm__/w/{archive}");
        refused(pack(&archive, "/__gofarm__/w/mine"), "symbolic link").await;
    }
}

#[tokio::test]
async fn a_file_of_the_machine_packed_into_an_archive() {
    for member in ["d/secret", "d/sub/secret", "l"] {
        let member = format!("/__gofarm__/w/{member}");
        refused(pack("/__gofarm__/w/pkg.a", &member), "symbolic link").await;
        // To leave out what is not there is to say whether it is there.
        let mut step = pack("/__gofarm__/w/pkg.a", &member);
        if let Some(Step::Pack(pack)) = &mut step.step {
            pack.drop_missing = vec![member];
        }
        refused(step, "symbolic link").await;
    }
}

#[tokio::test]
async fn text_replaced_in_a_file_of_the_machine() {
    for path in ["d/secret", "d/sub/secret", "l"] {
        refused(replace(&format!("/__gofarm__/w/{path}")), "symbolic link").await;
    }
}

#[tokio::test]
async fn a_content_id_over_a_file_of_the_machine() {
    for path in ["d/secret", "l"] {
        let path = format!("/__gofarm__/w/{path}");
        let mine = "/__gofarm__/w/pkg.a";
        refused(go_archive(&path, mine), "symbolic link").await;
        refused(go_archive(mine, &path), "symbolic link").await;
    }
}

#[tokio::test]
async fn a_marker_of_failure_below_a_linked_folder() {
    for marker in ["secret", "new", "new/folder/file"] {
        let mut fails = run(&["false"]);
        fails.failure_marker = format!("/__gofarm__/w/d/{marker}");
        refused(step(Step::Run(fails)), "symbolic link").await;
    }
}

#[tokio::test]
async fn a_file_written_over_a_link_to_the_machine_takes_the_place_of_the_link() {
    let host = Host::new();
    for farm in Farm::both() {
        let link = sh(&format!(
            "for f in a b m; do ln -s {}/secret $f; done",
            host.path()
        ));
        let mut fails = run(&["false"]);
        fails.failure_marker = "/__gofarm__/w/m".to_owned();
        let mut action = host_action(vec![
            link,
            write("/__gofarm__/w/a", "written"),
            copy("/__gofarm__/main/c", "/__gofarm__/w/b"),
            step(Step::Run(fails)),
        ]);
        action.inputs = vec![farm.input("/__gofarm__/main/c", b"copied")];
        action.outputs = ["a", "b", "m"]
            .map(|name| output(name, &format!("/__gofarm__/w/{name}")))
            .into();
        let execution = host.attacked_by(&farm, &action).await.unwrap();
        for (name, content) in [("a", "written"), ("b", "copied"), ("m", "")] {
            assert_eq!(farm.output(&execution, name).unwrap(), content.as_bytes());
        }
    }
}
