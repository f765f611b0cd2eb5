//! Symbolic links where the worker expects folders and files of the action.

use gofarm_proto::v1;

use crate::farm::*;
use crate::host::Host;

/// Ways to make the folder `/__gofarm__/w/d` lead to the host. `HOST` stands for its path.
const WAYS: [&str; 6] = [
    "ln -s HOST d",
    "ln -s ../../../../../../../../../../../../../../../..HOST d",
    "ln -s /proc/self/root/HOST d",
    "ln -s HOST e; ln -s e d",
    "mkdir e; ln -s ../../../../../../../../../../../../../../../../..HOST e/f; ln -s e/f d",
    "mkdir d; echo decoy > d/secret; rm -r d; ln -s HOST d",
];

/// `w/d` made to lead to the host, in every way.
pub fn ways(host: &Host) -> impl Iterator<Item = v1::Step> {
    WAYS.iter().map(|way| sh(&way.replace("HOST", host.path())))
}

fn with_output(steps: Vec<v1::Step>, path: &str) -> v1::Action {
    v1::Action {
        outputs: vec![output("out", path)],
        ..host_action(steps)
    }
}

#[tokio::test]
async fn an_output_below_a_linked_folder() {
    let host = Host::new();
    for farm in Farm::both() {
        for way in ways(&host) {
            for path in ["/__gofarm__/w/d/secret", "/__gofarm__/w/d/sub/secret"] {
                let action = with_output(vec![way.clone()], path);
                host.refuses(&farm, &action, "symbolic link").await;
            }
        }
    }
}

#[tokio::test]
async fn an_output_two_levels_below_a_folder_with_a_link() {
    let host = Host::new();
    for farm in Farm::both() {
        let link = sh(&format!("mkdir -p a/b; ln -s {} a/b/d", host.path()));
        for path in [
            "/__gofarm__/w/a/b/d/secret",
            "/__gofarm__/w/a/b/d/sub/secret",
        ] {
            let action = with_output(vec![link.clone()], path);
            host.refuses(&farm, &action, "symbolic link").await;
        }
    }
}

#[tokio::test]
async fn the_work_folder_itself_is_a_link() {
    let host = Host::new();
    for farm in Farm::both() {
        let link = sh(&format!(
            "cd ..; rm -r w; ln -s {} /__gofarm__/w",
            host.path()
        ));
        let action = with_output(vec![link.clone()], "/__gofarm__/w/secret");
        host.refuses(&farm, &action, "symbolic link").await;
        let action = host_action(vec![link, write("/__gofarm__/w/new", "x")]);
        host.refuses(&farm, &action, "symbolic link").await;
    }
}

#[tokio::test]
async fn an_output_below_a_link_that_leads_nowhere_or_to_itself() {
    let host = Host::new();
    for farm in Farm::both() {
        for link in ["ln -s HOST/none d", "ln -s d d", "ln -s e d; ln -s d e"] {
            let link = sh(&link.replace("HOST", host.path()));
            let mut action = with_output(vec![link.clone()], "/__gofarm__/w/d/x");
            host.refuses(&farm, &action, "symbolic link").await;
            // Whether the file is there cannot be known.
            action.outputs[0].optional = true;
            host.refuses(&farm, &action, "symbolic link").await;
            let action = host_action(vec![link, write("/__gofarm__/w/d/x", "x")]);
            host.refuses(&farm, &action, "symbolic link").await;
        }
    }
}

#[tokio::test]
async fn an_output_that_is_a_link_to_a_file_of_the_machine() {
    let host = Host::new();
    for farm in Farm::both() {
        for target in ["HOST/secret", "HOST/none", "/proc/self/root/HOST/secret"] {
            let link = sh(&format!(
                "ln -s {} out",
                target.replace("HOST", host.path())
            ));
            let action = with_output(vec![link], "/__gofarm__/w/out");
            host.refuses(&farm, &action, "symbolic link").await;
        }
    }
}

#[tokio::test]
async fn an_output_below_a_link_to_another_folder_of_the_tree() {
    let host = Host::new();
    for farm in Farm::both() {
        let link = sh("mkdir e; echo x > e/out; ln -s e d");
        let action = with_output(vec![link], "/__gofarm__/w/d/out");
        host.refuses(&farm, &action, "symbolic link").await;
    }
}

#[tokio::test]
async fn a_question_whether_a_file_of_the_machine_exists() {
    let host = Host::new();
    for farm in Farm::both() {
        for way in ways(&host) {
            let skipped = v1::Step {
                skip_if_exists: "/__gofarm__/w/d/secret".to_owned(),
                ..sh("echo it is not there")
            };
            let action = host_action(vec![way.clone(), skipped]);
            host.refuses(&farm, &action, "symbolic link").await;

            let mut dropping = run(&["echo", "/__gofarm__/w/d/secret"]);
            dropping.drop_missing = strings(&["/__gofarm__/w/d/secret"]);
            let dropping = step(v1::step::Step::Run(dropping));
            let action = host_action(vec![way, dropping]);
            host.refuses(&farm, &action, "symbolic link").await;
        }
    }
}

#[tokio::test]
async fn a_working_folder_on_the_machine() {
    let host = Host::new();
    for farm in Farm::both() {
        for cwd in ["/__gofarm__/w/d", "/__gofarm__/w/d/new/folder"] {
            for way in ways(&host) {
                let mut here = run(&["touch", "was_here"]);
                here.cwd = cwd.to_owned();
                let action = host_action(vec![way, step(v1::step::Step::Run(here))]);
                host.refuses(&farm, &action, "symbolic link").await;
            }
        }
    }
}

#[tokio::test]
async fn a_folder_of_inputs_that_is_a_link_for_the_next_action() {
    let host = Host::new();
    for farm in Farm::both() {
        let mut action = host_action(vec![sh(&format!(
            "cd ..; rm -rf main in; ln -s {0} main; ln -s {0} in",
            host.path()
        ))]);
        action.inputs = vec![farm.input("/__gofarm__/main/a", b"x")];
        let execution = host.attacked_by(&farm, &action).await.unwrap();
        assert_eq!(execution.result.exit_code, 0, "{}", log(&execution));
    }
}

#[tokio::test]
async fn no_handle_of_the_worker_reaches_a_tool() {
    for farm in Farm::both() {
        let mut action = host_action(vec![sh("ls -l /proc/self/fd")]);
        action.inputs = vec![farm.input("/__gofarm__/main/a", b"x")];
        let execution = farm.execute(&action).await.unwrap();
        let listed = log(&execution);
        let targets = listed.lines().filter_map(|line| line.split_once(" -> "));
        for (_, target) in targets {
            let known = ["/dev/null", "pipe:", "/proc/"];
            assert!(
                known.iter().any(|known| target.starts_with(known)),
                "{listed}"
            );
        }
    }
}
