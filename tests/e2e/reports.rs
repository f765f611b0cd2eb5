//! What a build tells: the summary, the events, -n, -v, -x.

use std::fs;

use insta::assert_snapshot;
use serde_json::Value;

use crate::harness::{Site, shown};

/// A library over another one that no earlier run has built; nothing of the standard library.
fn fresh() -> Site {
    let site = Site::cold();
    let unique = site.path("").display().to_string();
    site.module(&[
        (
            "a/a.go",
            &format!("package a\n\nimport \"example.com/m/b\"\n\nfunc A() string {{ return b.B + {unique:?} }}\n"),
        ),
        ("b/b.go", &format!("package b\n\nvar B = {unique:?}\n")),
    ])
}

fn events(site: &Site, code: i32, args: &[&str]) -> Vec<Value> {
    let file = site.path("events.ndjson");
    let flag = format!("--events={}", file.display());
    let mut all = vec!["submit", &flag];
    all.extend(args);
    site.gofarm(&all).run().code(code);
    let lines = fs::read_to_string(file).unwrap();
    assert!(lines.ends_with('\n'));
    let events: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for (seq, event) in events.iter().enumerate() {
        assert_eq!(event["seq"], seq);
        let time = event["time"].as_str().unwrap();
        assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
    }
    assert_eq!(events[0]["type"], "build_started");
    assert_eq!(events.last().unwrap()["type"], "build_finished");
    events
}

/// Type and label of each event of an action, and what it says of its end.
fn told(events: &[Value]) -> Vec<String> {
    events
        .iter()
        .filter(|event| event["label"].is_string())
        .map(|event| {
            let text = |name: &str| {
                event[name]
                    .as_str()
                    .map(|text| format!(" {text}"))
                    .unwrap_or_default()
            };
            format!(
                "{} {}{}{}{}",
                event["type"].as_str().unwrap(),
                event["label"].as_str().unwrap(),
                text("how"),
                text("cause"),
                text("waits_for")
            )
        })
        .collect()
}

#[test]
fn the_summary() {
    let site = fresh();
    let first = site.submit(&["./..."]);
    assert_eq!(first.result, "succeeded");
    assert!(first.build_id.len() == 32 && first.build_id.bytes().all(|b| b.is_ascii_hexdigit()));
    assert_eq!((first.actions.total, first.actions.executed), (2, 2));
    assert_eq!(first.kinds.keys().collect::<Vec<_>>(), ["compile"]);
    assert_eq!(first.kinds["compile"], first.actions);
    assert!(
        first.wall_ms >= first.plan_ms + first.critical_path_ms,
        "{first:#?}"
    );
    assert!(first.critical_path_ms > 0);
    assert_eq!(first.bytes.downloaded, 0);
    let second = site.submit(&["./..."]);
    assert_ne!(second.build_id, first.build_id);
    assert_eq!(second.critical_path_ms, 0);
    assert_eq!(second.bytes.uploaded, 0);
}

/// Standard output is a file without a name here: nothing but the stream itself can be written.
#[test]
fn the_summary_goes_where_it_is_sent() {
    let site = fresh();
    let link = site.path("stream");
    std::os::unix::fs::symlink("/proc/self/fd/1", &link).unwrap();
    let flag = format!("--summary-json={}", link.display());
    let finished = site.gofarm(&["submit", &flag, "./..."]).run().ok();
    let summary: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(summary["result"], "succeeded");
    assert!(link.is_symlink());
}

#[test]
fn the_events_of_a_build() {
    let site = fresh();
    let first = events(&site, 0, &["--workers=1", "./..."]);
    assert_eq!(first[0]["packages"], serde_json::json!(["./..."]));
    assert_eq!(first[0]["total"], 2);
    assert_eq!(
        first[0]["build_id"],
        first.last().unwrap()["summary"]["build_id"]
    );
    assert_snapshot!(told(&first).join("\n"));
    let done = first
        .iter()
        .find(|event| event["type"] == "action_finished")
        .unwrap();
    assert!(done["usage"]["peak_memory"].as_u64().unwrap() > 1 << 20);
    assert_eq!(done["key"].as_str().unwrap().len(), 64);

    let second = told(&events(&site, 0, &["./..."]));
    assert_eq!(
        second,
        [
            "action_finished compile example.com/m/b cached",
            "action_finished compile example.com/m/a cached"
        ]
    );
}

#[test]
fn the_events_of_a_failure() {
    let site = fresh();
    site.write("b/b.go", "package b\n\nvar B string = 1\n");
    let events = events(&site, 1, &["./..."]);
    assert_snapshot!(told(&events).join("\n"));
    let failed = events
        .iter()
        .find(|event| event["type"] == "action_failed")
        .unwrap();
    assert_eq!(failed["exit_code"], 2, "as the compiler ended");
    let log = events
        .iter()
        .find(|event| event["type"] == "action_log")
        .unwrap();
    assert!(
        log["text"].as_str().unwrap().contains("b.go:3:16: "),
        "{log}"
    );
}

#[test]
fn a_plan_that_is_only_shown() {
    let site = Site::cold().module(&[("p.go", "package p\n\nfunc F() {}\n")]);
    let finished = site.gofarm(&["submit", "-n", "."]).run().ok();
    assert_snapshot!(shown(&site, &finished));
    assert_eq!(fs::read_dir(site.path("src")).unwrap().count(), 2);
}

#[test]
fn the_packages_that_are_compiled() {
    let site = fresh();
    let first = site.gofarm(&["submit", "-v", "./..."]).run().ok();
    assert_eq!(first.diagnostics(), "example.com/m/b\nexample.com/m/a\n");
    let second = site.gofarm(&["submit", "-v", "./..."]).run().ok();
    assert_eq!(second.diagnostics(), "");
}

#[test]
fn the_commands_that_run() {
    let site = fresh();
    let first = site.gofarm(&["submit", "-x", "./..."]).run().ok();
    let text = first.diagnostics();
    for package in ["example.com/m/a", "example.com/m/b"] {
        assert!(text.contains(&format!("# compile {package}\n")), "{text}");
        let command = text
            .lines()
            .find(|line| line.contains("/compile ") && line.contains(&format!("-p {package} ")));
        assert!(command.unwrap().contains(" -trimpath "), "{text}");
    }
    let second = site.gofarm(&["submit", "-x", "./..."]).run().ok();
    assert_eq!(second.diagnostics(), "");
}

#[test]
fn what_a_tool_says_of_code_that_compiles_is_told_again_from_the_cache() {
    let site = Site::new().module(&[(
        "p.go",
        "package p\n\n/*\n#cgo CFLAGS: -Wall\nstatic int f(void) { int unused; return 1; }\n*/\nimport \"C\"\n\nfunc F() int { return int(C.f()) }\n",
    )]);
    let first = site.gofarm(&["submit", "."]).run().ok();
    let second = site.gofarm(&["submit", "."]).run().ok();
    assert!(first.stderr.contains("unused variable"), "{}", first.stderr);
    assert_eq!(first.diagnostics(), second.diagnostics());
}

#[test]
fn plain_progress_and_none() {
    let site = fresh();
    let finished = site
        .gofarm(&["submit", "--progress=plain", "./..."])
        .run()
        .ok();
    assert_eq!(finished.stdout, "");
    assert_eq!(finished.stderr.lines().count(), 1, "{}", finished.stderr);
    let tty = site.gofarm(&["submit", "--progress=tty", "./..."]).run();
    assert_snapshot!(shown(&site, &tty));
}
