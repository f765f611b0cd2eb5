//! Processes and threads as they come, stop and go.

use std::os::unix::process::ExitStatusExt;

use gofarm_observe::{Kind, LeftBehind, ObserveError, Outcome};

use super::place::Place;

#[test]
fn exit_codes_signals_and_output_are_the_command_s_own() {
    let place = Place::new(&[]);
    let seen = place.shell("echo out; echo err >&2; exit 7");
    assert_eq!(seen.observed.status.code(), Some(7));
    assert_eq!(seen.stdout(), "out\n");
    assert_eq!(seen.observed.stderr, b"err\n");
    let killed = place.shell("kill -TERM $$");
    assert_eq!(killed.observed.status.signal(), Some(15));
    let killed = place.shell("kill -KILL $$");
    assert_eq!(killed.observed.status.signal(), Some(9));
}

#[test]
fn descendants_are_seen_even_when_nobody_waits_for_them() {
    let place = Place::new(&[("late", ""), ("go", "")]);
    // The shell ends while its grandchild waits for a fifo that a third one opens.
    let seen = place
        .shell("mkfifo f; (sh -c 'read x < f; read y < late' &) ; (sleep 0.05; echo > f) >/dev/null 2>&1 & exit 0")
        .ok();
    assert_eq!(seen.asked("late"), [(Kind::Read, Outcome::Found)].into());
}

#[test]
fn what_is_left_behind_can_be_killed() {
    let place = Place::new(&[]);
    let mut request = place.request(
        "sh",
        &[
            "-c",
            "sleep 1000 & sh -c 'sleep 1000 & sleep 1000' & echo made; exit 3",
        ],
    );
    request.left_behind = LeftBehind::Kill;
    let seen = place.try_run(&request).unwrap();
    assert_eq!(seen.observed.status.code(), Some(3));
    assert_eq!(seen.stdout(), "made\n");
}

#[test]
fn a_signal_that_is_handled_reaches_its_handler() {
    let place = Place::new(&[("handled", "")]);
    let seen = place
        .shell("trap 'read x < handled; echo got' USR1; kill -USR1 $$; echo after")
        .ok();
    assert_eq!(seen.stdout(), "got\nafter\n");
    assert!(!seen.asked("handled").is_empty());
}

#[test]
fn a_process_that_is_stopped_stays_stopped_until_it_is_continued() {
    let place = Place::new(&[("after", "")]);
    // The parent sees its child in state T (stopped) or t (stopped for an observer), and not running on.
    let script = "sh -c 'kill -STOP $$; read x < after; echo on' & child=$!
while :; do read -r pid name state rest < /proc/$child/stat; case $state in T|t) break;; esac; done
echo stopped; sleep 0.05; read -r pid name state rest < /proc/$child/stat; echo $state
kill -CONT $child; wait $child";
    let seen = place.shell(script).ok();
    let stdout = seen.stdout();
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!(lines[0], "stopped");
    assert!(matches!(lines[1], "T" | "t"), "{lines:?}");
    assert_eq!(lines[2], "on");
    assert_eq!(seen.asked("after"), [(Kind::Read, Outcome::Found)].into());
}

#[test]
fn a_program_that_is_not_there_is_told() {
    let place = Place::new(&[("text", "no program")]);
    let missing = place.path("none");
    let error = place
        .try_run(&place.request(missing.to_str().unwrap(), &[]))
        .err()
        .unwrap();
    assert!(matches!(error, ObserveError::Start { .. }), "{error}");
    let text = place.path("text");
    let error = place
        .try_run(&place.request(text.to_str().unwrap(), &[]))
        .err()
        .unwrap();
    assert!(error.to_string().contains("ermission denied"), "{error}");
    let error = place
        .try_run(&place.request("sh", &["-c", "a\0b"]))
        .err()
        .unwrap();
    assert!(matches!(error, ObserveError::ZeroByte { .. }), "{error}");
}

#[test]
fn two_observations_at_once_do_not_hear_of_each_other() {
    let place = Place::new(&[("one", ""), ("two", "")]);
    std::thread::scope(|scope| {
        for (mine, other) in [("one", "two"), ("two", "one")] {
            let place = &place;
            scope.spawn(move || {
                let script = format!("for i in 1 2 3 4 5 6 7 8; do cat {mine}; done; exit 5");
                let seen = place.shell(&script);
                assert_eq!(seen.observed.status.code(), Some(5));
                assert!(!seen.asked(mine).is_empty());
                assert!(seen.asked(other).is_empty());
            });
        }
    });
}

#[test]
fn a_script_s_interpreter_and_loader_are_told() {
    let place = Place::new(&[("script", "#!/bin/sh\nexit 0\n")]);
    let script = place.path("script");
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let seen = place.run(script.to_str().unwrap(), &[]).ok();
    let run: Vec<_> = seen
        .accesses
        .iter()
        .filter(|access| access.kind == Kind::Execute)
        .map(|access| access.path.clone())
        .collect();
    assert_eq!(run[0], script);
    assert_eq!(run[1], std::path::Path::new("/bin/sh"));
    assert!(run[2].to_string_lossy().contains("/ld-"), "{run:?}");
}
