//! Words of others that a terminal would obey: none of them reaches one, nor a text log.

use crate::harness::{FARM, Farm, Service, Site, Size, eventually};

/// Sets the title, clears the screen, and asks the terminal to answer.
const HOSTILE: &str = "\x1b]0;owned\x07\x1b[2J\x1b[6n\u{9b}5n";

#[track_caller]
fn harmless(what: &str, text: &str) {
    let bad = text
        .chars()
        .find(|c| c.is_control() && !"\n\t".contains(*c));
    assert_eq!(bad, None, "{what}: {text:?}");
}

#[test]
fn hostile_output_worker_and_user_names_are_shown_and_not_obeyed() {
    // The compiler says where an error is as the source tells it to.
    let source = format!("package main\n\n//line {HOSTILE}x.go:7\nfunc main() {{ undefined() }}\n");
    let site = Site::new().module(&[("main.go", &source)]);
    let size = Size {
        schedulers: 1,
        workers: 0,
        ..FARM
    };
    let mut farm = Farm::start(&site, size);
    let mut recipe = farm.worker_recipe(&site, 0, 1);
    recipe.args.push(format!("--name=w\nforged{HOSTILE}"));
    recipe.args.retain(|arg| arg != "--name=worker0");
    farm.workers.push(Service::start(recipe));
    farm.all_join(&site);
    let user = format!("--user=u\nforged{HOSTILE}");
    let refused = farm.submit(&site, &[&user, "."]).run().code(2);
    harmless("submit", &refused.stderr);
    assert!(
        refused.stderr.contains("it has the control character"),
        "{}",
        refused.stderr
    );
    let failed = farm
        .submit(&site, &["--user=u\u{202e}forged", "--progress=plain"])
        .run()
        .code(1);
    harmless("submit", &failed.stderr);
    assert!(
        failed.stderr.contains("\\x1b]0;owned\\x07\\x1b[2J"),
        "{}",
        failed.stderr
    );
    assert!(failed.stderr.contains("undefined"), "{}", failed.stderr);

    for args in [
        &["workers"][..],
        &["builds"],
        &["workers", "--json"],
        &["builds", "--json"],
    ] {
        let told = farm.gofarm(&site, args).run().ok();
        harmless(args[0], &told.stdout);
        assert!(told.stdout.contains("forged"), "{}", told.stdout);
        if args.len() == 1 {
            assert_eq!(told.stdout.lines().count(), 2, "{}", told.stdout);
        }
    }
    let builds = farm.gofarm(&site, &["builds", "--json"]).run().ok();
    let builds: serde_json::Value = serde_json::from_str(&builds.stdout).unwrap();
    let id = builds[0]["build_id"].as_str().unwrap();
    for args in [&["status", id][..], &["logs", id], &["logs", "--json", id]] {
        let told = farm.gofarm(&site, args).run().ok();
        harmless(args[0], &told.stdout);
    }
    eventually(
        || "the worker does not report".to_owned(),
        || (!farm.workers[0].lines_with(&["reported"]).is_empty()).then_some(()),
    );
    for service in farm.workers.iter().chain(&farm.schedulers) {
        let log = service.log();
        harmless("log", &log);
        // Each line is one of the program's own.
        assert!(log.lines().all(|line| !line.starts_with("forged")), "{log}");
    }
    assert!(farm.workers[0].log().contains("w\\nforged"));
}
