//! Definitions whose paths lead out of the exec root.

use gofarm_proto::v1::{self, step::Step};
use gofarm_worker::ExecuteError;

use crate::farm::*;
use crate::host::Host;

/// Each path field of a definition, filled in.
fn everywhere(farm: &Farm, path: &str) -> Vec<(&'static str, v1::Action)> {
    let mine = "/__gofarm__/w/mine".to_owned();
    let path = path.to_owned();
    let paths = vec![path.clone()];
    let native = |name, native: Step| (name, host_action(vec![step(native)]));
    let running = |name, change: &dyn Fn(&mut v1::Run)| {
        let mut run = run(&["true"]);
        change(&mut run);
        (name, host_action(vec![step(Step::Run(run))]))
    };
    let copy = |from: &String, to: &String| {
        Step::CopyFile(v1::CopyFile {
            from: from.clone(),
            to: to.clone(),
        })
    };
    let pack = |archive: &String, members: &[String], drop_missing: &[String]| {
        Step::Pack(v1::Pack {
            archive: archive.clone(),
            members: members.to_vec(),
            drop_missing: drop_missing.to_vec(),
        })
    };
    let archive = |export: &String, object: &String| {
        Step::GoArchive(v1::GoArchive {
            export: export.clone(),
            object: object.clone(),
            build_id: "x".to_owned(),
        })
    };
    let replace = Step::ReplaceText(v1::ReplaceText {
        path: path.clone(),
        from: "a".to_owned(),
        to: "b".to_owned(),
    });
    let mut input = host_action(vec![sh("true")]);
    input.inputs = vec![farm.input(&path, b"x")];
    let mut referred = host_action(vec![sh("true")]);
    referred.inputs = vec![v1::Input {
        by_reference: true,
        ..farm.input(&path, b"x")
    }];
    let mut output = host_action(vec![sh("true")]);
    output.outputs = vec![crate::farm::output("out", &path)];
    let mut optional = output.clone();
    optional.outputs[0].optional = true;
    let mut program = host_action(vec![step(Step::Run(run(&[&path])))]);
    program.host_tools = false;
    let mut skip = host_action(vec![sh("true")]);
    skip.steps[0].skip_if_exists.clone_from(&path);
    vec![
        ("input", input),
        ("input by reference", referred),
        ("output", output),
        ("optional output", optional),
        ("program", program),
        ("skip_if_exists", skip),
        running("cwd", &|run| run.cwd.clone_from(&path)),
        running("drop_missing", &|run| run.drop_missing.clone_from(&paths)),
        running("failure_marker", &|run| {
            run.failure_marker.clone_from(&path);
        }),
        ("write", host_action(vec![write(&path, "x")])),
        native("copy from", copy(&path, &mine)),
        native("copy to", copy(&mine, &path)),
        native("archive", pack(&path, std::slice::from_ref(&mine), &[])),
        native("member", pack(&mine, &paths, &[])),
        native("dropped member", pack(&mine, &[], &paths)),
        native("replace", replace),
        native("export", archive(&path, &mine)),
        native("object", archive(&mine, &path)),
    ]
}

#[tokio::test]
async fn a_path_that_leads_up_or_elsewhere_in_every_field() {
    let host = Host::new();
    for farm in Farm::both() {
        let up = "/..".repeat(30);
        let bad = [
            format!("{}/secret", host.path()),
            format!("/__gofarm__{up}{}/secret", host.path()),
            format!("/__gofarm__/w{up}{}/secret", host.path()),
            "/__gofarm__/w/..".to_owned(),
            "/__gofarm__/w/./x".to_owned(),
            "/__gofarm__/w//x".to_owned(),
            "/__gofarm__/w/x/".to_owned(),
            "/__gofarm__//etc/passwd".to_owned(),
            "/__gofarm__/".to_owned(),
            "/__gofarm__x/y".to_owned(),
            "/__gofarm__/w/x\0".to_owned(),
            "w/x".to_owned(),
            "../x".to_owned(),
        ];
        for path in bad {
            for (field, action) in everywhere(&farm, &path) {
                match farm.execute(&action).await {
                    Err(ExecuteError::Malformed { .. }) => {}
                    outcome => panic!("{field} {path:?}: {outcome:?}"),
                }
            }
        }
        host.assert_untouched(&farm, &"paths that lead up");
        crate::host::assert_usable(&farm).await;
    }
}

#[tokio::test]
async fn the_exec_root_itself_is_no_file() {
    let host = Host::new();
    for farm in Farm::both() {
        for (field, action) in everywhere(&farm, "/__gofarm__") {
            let outcome = host.attacked_by(&farm, &action).await;
            // It can be worked in, and that is all.
            assert_eq!(outcome.is_ok(), field == "cwd", "{field}: {outcome:?}");
        }
    }
}

#[tokio::test]
async fn an_input_below_an_output() {
    let host = Host::new();
    for farm in Farm::both() {
        let mut action = host_action(vec![sh("true")]);
        action.inputs = vec![farm.input("/__gofarm__/w/out/in", b"x")];
        action.outputs = vec![output("out", "/__gofarm__/w/out")];
        host.refuses(&farm, &action, "is a folder").await;
        action.outputs = vec![output("out", "/__gofarm__/w/out/in/below")];
        host.refuses(&farm, &action, "is not a folder").await;
        action.outputs = vec![output("out", "/__gofarm__/w/out/in")];
        let execution = host.attacked_by(&farm, &action).await.unwrap();
        assert_eq!(farm.output(&execution, "out").unwrap(), b"x");
    }
}

#[tokio::test]
async fn a_name_longer_than_the_system_allows() {
    let host = Host::new();
    for farm in Farm::both() {
        let long = [
            format!("/__gofarm__/w/{}", "x".repeat(300)),
            format!("/__gofarm__/w{}", "/x".repeat(5000)),
        ];
        for path in long {
            let action = host_action(vec![write(&path, "x")]);
            host.attacked_by(&farm, &action).await.unwrap_err();
            let mut action = host_action(vec![sh("true")]);
            action.outputs = vec![output("out", &path)];
            host.attacked_by(&farm, &action).await.unwrap_err();
        }
    }
}
