//! What steps, inputs and outputs mean.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use gofarm_proto::Digest;
use gofarm_proto::v1::{self, input, step::Step};
use gofarm_worker::{ErrorClass, ExecuteError, LogSink, Printed};
use tokio_util::sync::CancellationToken;

use crate::farm::*;

#[tokio::test]
async fn a_run_reads_inputs_and_its_outputs_are_blobs() {
    for farm in Farm::both() {
        let mut action = host_action(vec![
            write("/__gofarm__/w/deep/list", "root=/__gofarm__/main\n"),
            sh(
                "read line < deep/list; cat ${line#root=}/a /__gofarm__/ext/0/b > out; echo done; echo $WHERE; pwd",
            ),
        ]);
        action.env.push(env("WHERE", "/__gofarm__/x:/__gofarm__/y"));
        action.inputs = vec![
            farm.input("/__gofarm__/ext/0/b", b"B"),
            farm.input("/__gofarm__/main/a", b"A"),
        ];
        action.outputs = vec![output("out", "/__gofarm__/w/out")];
        let execution = farm.execute(&action).await.unwrap();
        assert_eq!(farm.output(&execution, "out").unwrap(), b"AB");
        assert_eq!(
            log(&execution),
            "done\n/__gofarm__/x:/__gofarm__/y\n/__gofarm__/w\n"
        );
        assert_eq!(execution.result.exit_code, 0);
        let usage = execution.result.usage.unwrap();
        assert!(usage.peak_memory > 100 << 10, "{usage:?}");
    }
}

#[tokio::test]
async fn the_environment_is_the_actions_own() {
    for farm in Farm::both() {
        let mut run = run(&["env"]);
        run.env = vec![env("A", "run"), env("B", "2")];
        let mut action = host_action(vec![step(Step::Run(run))]);
        action.env = vec![env("A", "action"), env("PATH", "/usr/bin:/bin")];
        let execution = farm.execute(&action).await.unwrap();
        assert_eq!(log(&execution), "A=run\nB=2\nPATH=/usr/bin:/bin\n");
    }
}

#[tokio::test]
async fn standard_input_is_empty() {
    for farm in Farm::both() {
        let execution = farm
            .execute(&host_action(vec![sh("cat; echo end")]))
            .await
            .unwrap();
        assert_eq!(log(&execution), "end\n");
    }
}

#[tokio::test]
async fn the_first_failing_step_ends_the_action() {
    for farm in Farm::both() {
        let mut action = host_action(vec![sh("echo one >&2; exit 3"), sh("echo two")]);
        action.outputs = vec![output("out", "/__gofarm__/w/out")];
        let execution = farm.execute(&action).await.unwrap();
        assert_eq!(execution.result.exit_code, 3);
        assert_eq!(log(&execution), "one\n");
        assert!(execution.result.outputs.is_empty());
        assert!(!execution.succeeded());
    }
}

#[tokio::test]
async fn stdout_and_stderr_keep_their_order() {
    for farm in Farm::both() {
        let script =
            "i=0; while [ $i -lt 2000 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done";
        let watched = Watched::default();
        let action = host_action(vec![sh(script), sh("echo last")]);
        let execution = farm
            .execute_with(&action, &CancellationToken::new(), &watched)
            .await
            .unwrap();
        let mut expected: String = (0..2000).map(|i| format!("out {i}\nerr {i}\n")).collect();
        expected.push_str("last\n");
        assert!(farm.printed(&execution) == expected.as_bytes());
        assert_eq!(watched.text(), expected);
    }
}

#[tokio::test]
async fn a_tool_that_prints_without_end_goes_on_and_its_log_is_cut() {
    let farm = &Farm::both()[0];
    let action = host_action(vec![sh(
        "head -c 20000000 /dev/zero | tr '\\0' x; echo; touch out",
    )]);
    let action = v1::Action {
        outputs: vec![output("out", "/__gofarm__/w/out")],
        ..action
    };
    let execution = farm.execute(&action).await.unwrap();
    assert!(digest(&execution, "out").is_some());
    let text = farm.printed(&execution);
    assert!(text.len() < gofarm_worker::LOG_LIMIT + 200);
    assert!(text.ends_with(b"is left out: it is longer than 16 MiB\n"));
}

/// Whatever is printed: control characters, bytes that are no text, a line that never ends.
#[tokio::test]
async fn a_long_log_is_a_blob_with_every_byte_that_was_printed() {
    for farm in Farm::both() {
        for (script, code) in [
            ("head -c 10000000 /dev/urandom | tee out", 0),
            ("head -c 10000000 /dev/zero | tr '\\0' '\\377' | tee out", 0),
            (
                "yes \"$(printf '\\033[2J\\377')\" | head -c 2000000 | tee out; exit 3",
                3,
            ),
            ("head -c 16384 /dev/zero | tee out", 0),
        ] {
            let mut action = host_action(vec![sh(script)]);
            action.outputs = vec![output("out", "/__gofarm__/w/out")];
            let watched = Watched::default();
            let execution = farm
                .execute_with(&action, &CancellationToken::new(), &watched)
                .await
                .unwrap();
            assert_eq!(execution.result.exit_code, code, "{script}");
            let log = farm.printed(&execution);
            let long = log.len() > gofarm_proto::INLINE_LOG;
            assert_eq!(execution.result.log_blob.is_some(), long, "{script}");
            match farm.output(&execution, "out") {
                Some(out) => assert!(log == out, "{script}"),
                None => assert_eq!(log.len(), 2_000_000, "{script}"),
            }
        }
    }
}

#[tokio::test]
async fn what_is_printed_before_the_time_is_up_is_kept_however_much() {
    for farm in Farm::both() {
        let mut action = host_action(vec![sh("yes printed | head -c 1000000; sleep 1000")]);
        action.timeout_ms = 2_000;
        let error = farm.execute(&action).await.unwrap_err();
        let ExecuteError::TimedOut {
            printed: Printed::Blob(digest),
            ..
        } = &error
        else {
            panic!("{error:?}");
        };
        let log = farm.store.read(digest).unwrap();
        let log = String::from_utf8(log).unwrap();
        assert!(log.starts_with("printed\nprinted\n"));
        assert_eq!(log.lines().last().unwrap(), error.to_string());
    }
}

/// The store takes nothing more as soon as something is printed.
struct Breaks(PathBuf);

impl LogSink for Breaks {
    fn log(&self, _chunk: &[u8]) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[tokio::test]
async fn a_failure_whose_log_cannot_be_kept_has_its_beginning_and_its_end() {
    for farm in Farm::both() {
        let drafts = farm.store.scratch_dir().with_file_name("ingest");
        let sink = Breaks(drafts.clone());
        for code in [3, 0] {
            let script = format!("echo first; seq 100000; echo last; exit {code}");
            let action = host_action(vec![sh(&script)]);
            let outcome = farm
                .execute_with(&action, &CancellationToken::new(), &sink)
                .await;
            std::fs::create_dir(&drafts).unwrap();
            if code == 0 {
                // What succeeds is remembered, and with all that it has printed.
                assert!(
                    matches!(outcome, Err(ExecuteError::Store(_))),
                    "{outcome:?}"
                );
                continue;
            }
            let execution = outcome.unwrap();
            assert_eq!(execution.result.exit_code, code);
            assert_eq!(execution.result.log_blob, None);
            let log = log(&execution);
            assert!(log.len() <= gofarm_proto::INLINE_LOG);
            assert!(log.starts_with("first\n1\n2\n"), "{log}");
            assert!(log.ends_with("\n99999\n100000\nlast\n"), "{log}");
            assert!(
                log.contains(" bytes are left out here, they cannot be kept: "),
                "{log}"
            );
        }
    }
}

#[tokio::test]
async fn missing_arguments_are_dropped_and_present_ones_kept() {
    for farm in Farm::both() {
        let mut echo = run(&[
            "echo",
            "/__gofarm__/w/a",
            "/__gofarm__/w/b",
            "x=/__gofarm__/w/b",
        ]);
        echo.drop_missing = strings(&["/__gofarm__/w/a", "/__gofarm__/w/b"]);
        let action = host_action(vec![sh("touch a"), step(Step::Run(echo))]);
        let execution = farm.execute(&action).await.unwrap();
        assert_eq!(log(&execution), "/__gofarm__/w/a x=/__gofarm__/w/b\n");
    }
}

#[tokio::test]
async fn a_step_is_skipped_when_its_path_exists() {
    for farm in Farm::both() {
        let skip = |path: &str, script: &str| v1::Step {
            skip_if_exists: path.to_owned(),
            ..sh(script)
        };
        let action = host_action(vec![
            skip("/__gofarm__/w/a", "echo made a; touch a"),
            skip("/__gofarm__/w/a", "echo skipped"),
            skip("/__gofarm__/w/b", "echo no b"),
        ]);
        let execution = farm.execute(&action).await.unwrap();
        assert_eq!(log(&execution), "made a\nno b\n");
    }
}

#[tokio::test]
async fn a_marked_failure_is_no_failure_and_says_nothing() {
    for farm in Farm::both() {
        let marked = |script: &str| {
            let mut run = run(&["sh", "-c", script]);
            run.failure_marker = "/__gofarm__/w/mark/er".to_owned();
            step(Step::Run(run))
        };
        let watched = Watched::default();
        let action = host_action(vec![
            marked("echo fine"),
            sh("test ! -e mark/er && echo none yet"),
            marked("echo never seen; exit 1"),
            sh("test -f mark/er && test ! -s mark/er && echo marked"),
        ]);
        let cancel = CancellationToken::new();
        let execution = farm.execute_with(&action, &cancel, &watched).await.unwrap();
        assert_eq!(log(&execution), "fine\nnone yet\nmarked\n");
        assert_eq!(watched.text(), log(&execution));
        assert_eq!(execution.result.exit_code, 0);
    }
}

#[tokio::test]
async fn compilers_are_told_how_many_cpus_they_have() {
    let farm = Farm::new(gofarm_worker::SandboxMode::Off);
    let mut echo = run(&["echo", "-o", "x"]);
    echo.compiler_concurrency = true;
    let execution = farm
        .execute(&host_action(vec![step(Step::Run(echo))]))
        .await
        .unwrap();
    assert_eq!(log(&execution), "-c=2 -o x\n");
}

#[tokio::test]
async fn native_steps_never_write_into_a_blob() {
    for farm in Farm::both() {
        let content = b"as it was";
        let before = Digest::of(content);
        let mut action = host_action(vec![
            write("/__gofarm__/main/a", "new"),
            step(Step::CopyFile(v1::CopyFile {
                from: "/__gofarm__/main/b".to_owned(),
                to: "/__gofarm__/w/copy".to_owned(),
            })),
            sh("cat /__gofarm__/main/a; echo more >> copy; cat copy"),
        ]);
        action.inputs = vec![
            farm.input("/__gofarm__/main/a", content),
            farm.input("/__gofarm__/main/b", content),
        ];
        let execution = farm.execute(&action).await.unwrap();
        assert_eq!(log(&execution), "newas it wasmore\n");
        assert_eq!(farm.store.read(&before).unwrap(), content);
    }
}

#[tokio::test]
async fn text_is_replaced_in_what_a_step_has_written_and_in_nothing_else() {
    for farm in Farm::both() {
        let replace = |path: &str| {
            step(Step::ReplaceText(v1::ReplaceText {
                path: path.to_owned(),
                from: "/__gofarm__/main".to_owned(),
                to: "/home/me".to_owned(),
            }))
        };
        let mut action = host_action(vec![
            sh("echo /__gofarm__/main/a.go /__gofarm__/mod > a"),
            replace("/__gofarm__/w/a"),
            sh("cat a"),
        ]);
        let execution = farm.execute(&action).await.unwrap();
        assert_eq!(log(&execution), "/home/me/a.go /__gofarm__/mod\n");
        action.inputs = vec![farm.input("/__gofarm__/main/a", b"x")];
        action.steps.push(replace("/__gofarm__/main/a"));
        let error = farm.execute(&action).await.unwrap_err();
        assert!(matches!(error, ExecuteError::NativeStep { .. }), "{error}");
    }
}

#[tokio::test]
async fn by_reference_inputs_are_read_from_the_store() {
    for farm in Farm::both() {
        let mut referred = farm.input("/__gofarm__/in/1/export", b"exported");
        referred.by_reference = true;
        let mut action = host_action(vec![
            write(
                "/__gofarm__/w/importcfg",
                "packagefile fmt=/__gofarm__/in/1/export\n",
            ),
            sh(
                "read line < importcfg; f=${line#*=}; cat $f; test -e /__gofarm__/in/1/export || echo; echo $f: bad >&2",
            ),
        ]);
        action.inputs = vec![referred];
        let execution = farm.execute(&action).await.unwrap();
        // What tools say about it names the input again.
        assert_eq!(log(&execution), "exported\n/__gofarm__/in/1/export: bad\n");
    }
}

#[tokio::test]
async fn produced_inputs_come_with_the_task() {
    for farm in Farm::both() {
        let produced = |path: &str| v1::Input {
            path: path.to_owned(),
            source: Some(input::Source::Produced(v1::Produced::default())),
            ..Default::default()
        };
        let mut action = host_action(vec![sh("cat ../in/1/a ../in/2/b ../main/c")]);
        action.inputs = vec![
            produced("/__gofarm__/in/1/a"),
            produced("/__gofarm__/in/2/b"),
            farm.input("/__gofarm__/main/c", b"c\n"),
        ];
        let digests = [b"a", b"b"].map(|text| farm.store.put_bytes(text).unwrap());
        let task = farm.task(&action, &digests);
        let cancel = CancellationToken::new();
        let execution = farm
            .executor
            .execute(&task, &cancel, &(), None)
            .await
            .unwrap();
        assert_eq!(log(&execution), "abc\n");
        let few = farm.task(&action, &digests[..1]);
        let error = farm
            .executor
            .execute(&few, &cancel, &(), None)
            .await
            .unwrap_err();
        assert!(matches!(error, ExecuteError::Malformed { .. }), "{error}");
    }
}

#[tokio::test]
async fn an_output_that_others_wait_for_must_be_there() {
    for farm in Farm::both() {
        let mut action = host_action(vec![sh("touch a")]);
        let optional = v1::Output {
            optional: true,
            ..output("maybe", "/__gofarm__/w/maybe")
        };
        action.outputs = vec![output("a", "/__gofarm__/w/a"), optional];
        let execution = farm.execute(&action).await.unwrap();
        assert_eq!(execution.result.outputs.len(), 1);
        action.outputs.push(output("b", "/__gofarm__/w/b"));
        let error = farm.execute(&action).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the action \"test\" succeeded without writing its output \"b\" (/__gofarm__/w/b)"
        );
        assert_eq!(error.class(), ErrorClass::Bug);
    }
}

#[tokio::test]
async fn missing_blobs_are_all_named() {
    for farm in Farm::both() {
        let lost = [Digest::of(b"lost 1"), Digest::of(b"lost 2")];
        let mut action = host_action(vec![sh("true")]);
        action.inputs = vec![
            known("/__gofarm__/main/a", lost[0]),
            farm.input("/__gofarm__/main/b", b"here"),
            known("/__gofarm__/main/c", lost[1]),
            v1::Input {
                by_reference: true,
                ..known("/__gofarm__/main/d", lost[0])
            },
        ];
        let Err(ExecuteError::MissingInputs(mut missing)) = farm.execute(&action).await else {
            panic!("the inputs are not there");
        };
        missing.sort();
        let mut lost = lost.to_vec();
        lost.sort();
        assert_eq!(missing, lost);

        let task = gofarm_worker::Task {
            definition: lost[0],
            ..farm.task(&action, &[])
        };
        let cancel = CancellationToken::new();
        match farm.executor.execute(&task, &cancel, &(), None).await {
            Err(ExecuteError::MissingInputs(missing)) => assert_eq!(missing, [lost[0]]),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn malformed_actions_are_refused_before_anything_runs() {
    let farm = Farm::new(gofarm_worker::SandboxMode::Off);
    let input = |path: &str| farm.input(path, b"x");
    let mut escaping = host_action(vec![write("/__gofarm__/../../etc/x", "")]);
    escaping.host_tools = false;
    let mut unsorted = host_action(vec![]);
    unsorted.inputs = vec![input("/__gofarm__/b"), input("/__gofarm__/a")];
    let mut outside = host_action(vec![sh("true")]);
    outside.host_tools = false;
    let mut nested = host_action(vec![]);
    nested.inputs = vec![input("/__gofarm__/a"), input("/__gofarm__/a/b")];
    let unknown = host_action(vec![v1::Step::default()]);
    for action in [escaping, unsorted, outside, unknown] {
        let error = farm.execute(&action).await.unwrap_err();
        assert!(matches!(error, ExecuteError::Malformed { .. }), "{error}");
        assert_eq!(error.class(), ErrorClass::Bug);
    }
    assert!(farm.execute(&nested).await.is_err());
}

#[tokio::test]
async fn a_blob_is_staged_as_a_link() {
    let farm = Farm::new(gofarm_worker::SandboxMode::Off);
    let mut action = host_action(vec![sh("stat -c %i ../main/a")]);
    action.inputs = vec![farm.input("/__gofarm__/main/a", b"x")];
    let execution = farm.execute(&action).await.unwrap();
    let blob = farm.store.path(&Digest::of(b"x"));
    assert_eq!(
        log(&execution).trim(),
        std::fs::metadata(blob).unwrap().ino().to_string()
    );
}

#[tokio::test]
async fn commands_are_traced_as_they_run() {
    for farm in Farm::both() {
        let watched = Watched::default();
        let action = host_action(vec![sh("echo /__gofarm__/w")]);
        let task = farm.task(&action, &[]);
        let cancel = CancellationToken::new();
        farm.executor
            .execute(&task, &cancel, &(), Some(&watched))
            .await
            .unwrap();
        let commands = watched.commands.lock().unwrap();
        let [command] = &commands[..] else {
            panic!("{commands:?}");
        };
        let seen = match farm.executor.sandbox() {
            gofarm_worker::SandboxState::Active => "/__gofarm__".to_owned(),
            _ => command.exec_root.to_str().unwrap().to_owned(),
        };
        assert_eq!(command.argv, ["sh", "-c", &format!("echo {seen}/w")]);
        assert_eq!(command.cwd, format!("{seen}/w"));
        assert!(command.exec_root.starts_with(farm.store.root()));
    }
}

/// A compiler is staged for every action of a build.
#[tokio::test]
async fn a_large_input_is_not_hashed_for_each_action_that_it_is_staged_for() {
    for farm in Farm::both() {
        let large = farm.input("/__gofarm__/main/large", &vec![7; 1 << 20]);
        for number in 0..5 {
            let mut action =
                host_action(vec![sh(&format!("echo {number}; wc -c < ../main/large"))]);
            action.inputs = vec![large.clone()];
            let execution = farm.execute(&action).await.unwrap();
            assert_eq!(log(&execution), format!("{number}\n1048576\n"));
        }
        assert_eq!(farm.store.verified_bytes().blobs, 0);
    }
}

/// The worker removes the links that it has made, and nothing that the action has put in the way.
#[tokio::test]
async fn a_link_that_the_action_has_replaced_leads_the_worker_nowhere() {
    let outside = tempfile::tempdir().unwrap();
    let kept = outside.path().join("large");
    std::fs::write(&kept, "kept").unwrap();
    let farm = Farm::new(gofarm_worker::SandboxMode::Off);
    for script in [
        "rm ../main/large; echo other > ../main/large",
        "rm ../main/large; mkdir ../main/large",
        "rm ../main/large; ln -s OUTSIDE/large ../main/large",
        "mv ../main ../moved; ln -s OUTSIDE ../main",
        "rm -r ../main; ln -s OUTSIDE ../main",
    ] {
        let script = script.replace("OUTSIDE", &outside.path().to_string_lossy());
        let mut action = host_action(vec![sh(&script)]);
        action.inputs = vec![farm.input("/__gofarm__/main/large", &vec![7; 1 << 20])];
        farm.execute(&action).await.unwrap();
        assert_eq!(std::fs::read(&kept).unwrap(), b"kept", "{script}");
    }
}
