//! Actions that print very much: the user sees all of it, and nobody holds it.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::Signal;

use crate::harness::{FARM, Farm, Invocation, Site, Size, Summary, blobs, flip, peak_memory};

/// What a process may take more for a build that prints 15 MB than for one that prints a few lines.
const BOUND: u64 = 32 << 20;

/// What the least of a long log has to have to be none that stands in its result.
const LONG: usize = gofarm_proto::INLINE_LOG;

const SMALL: Size = Size {
    schedulers: 1,
    workers: 1,
    ..FARM
};

/// A word that stands in no log of another test: caches are shared.
fn mark(site: &Site) -> String {
    let folder = site.path("");
    let name = folder.file_name().unwrap().to_str().unwrap();
    name.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// A package with so many errors, of which the compiler tells all with -e. Each takes about 500 bytes; `line` stands before each.
fn broken(site: Site, errors: usize, line: &str) -> Site {
    let pad = format!("{}{}", mark(&site), "x".repeat(464));
    let mut source = "package noisy\n\nfunc F() {\n".to_owned();
    for number in 0..errors {
        source.push_str(&format!("{line}\tname{number:05}{pad}()\n"));
    }
    source.push_str("}\n");
    site.module(&[("noisy.go", &source)])
}

/// Runs a command that fails. It is held up when it has written so many bytes to stderr: the most memory that it had by then,
/// and all that it wrote.
fn held_up(command: Invocation, at: usize) -> (u64, String) {
    let (mut reader, writer) = std::io::pipe().unwrap();
    // So that it is not far ahead.
    fcntl(&writer, FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
    let running = command.start_saying(writer);
    let mut said = vec![0; at];
    reader.read_exact(&mut said).unwrap();
    let peak = peak_memory(running.id());
    reader.read_to_end(&mut said).unwrap();
    running.wait().code(1);
    (peak, String::from_utf8(said).unwrap())
}

/// But for lines of gofarm's own.
fn diagnostics(said: &str) -> String {
    let lines = said.lines().filter(|line| !line.starts_with("gofarm: "));
    lines.map(|line| format!("{line}\n")).collect()
}

/// What go says. Megabytes are not to be shown when they differ.
fn go_says(site: &Site) -> String {
    let said = site.go(&["build", "-gcflags=-e", "."]).run().code(1).stderr;
    assert!(
        (15_000_000..16 << 20).contains(&said.len()),
        "{}",
        said.len()
    );
    said
}

fn shows(what: &str, before: u64, after: u64) {
    let (was, is) = (before >> 10, after >> 10);
    eprintln!("{what}: peak memory {was} KiB with ten errors, {is} KiB with 15 MB of them");
    let more = after.saturating_sub(before);
    assert!(more < BOUND, "{what} took {} KiB more", more >> 10);
}

/// The first Ctrl-C is enough although a full pipe holds up whoever writes to it, and what failed before does not make it a failure.
#[test]
fn an_interrupt_while_nobody_reads_ends_the_build_that_shows_its_errors() {
    let site = broken(Site::new(), 6000, "");
    let summary = site.path("summary.json");
    let flag = format!("--summary-json={}", summary.display());
    let (mut reader, writer) = std::io::pipe().unwrap();
    fcntl(&writer, FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
    let args = ["submit", &flag, "-gcflags=-e", "."];
    let running = site.gofarm(&args).start_saying(writer);
    // The errors are shown, and there are many more than the pipe takes.
    reader.read_exact(&mut [0; 1000]).unwrap();
    running.signal(Signal::SIGINT);
    running.wait().code(130);
    assert_eq!(Summary::read(&summary).result, "cancelled");
    drop(reader);
}

#[test]
fn an_embedded_build_shows_fifteen_megabytes_of_errors_and_holds_none() {
    let site = broken(Site::new(), 30_000, "");
    let theirs = go_says(&site);
    let (few, said) = held_up(site.gofarm(&["submit", "."]), 1);
    assert!(said.contains("too many errors"), "{said}");
    let (many, said) = held_up(site.gofarm(&["submit", "-gcflags=-e", "."]), 14_000_000);
    assert!(diagnostics(&said) == theirs);
    shows("gofarm", few, many);
}

#[test]
fn a_farm_shows_fifteen_megabytes_of_errors_and_holds_none() {
    let site = broken(Site::new(), 30_000, "");
    let theirs = go_says(&site);
    let farm = Farm::start(&site, SMALL);
    farm.all_join(&site);
    let (few, said) = held_up(farm.submit(&site, &["."]), 1);
    assert!(said.contains("too many errors"), "{said}");
    let peaks = || [&farm.schedulers[0], &farm.workers[0]].map(|one| peak_memory(one.pid()));
    let before = peaks();
    let (many, said) = held_up(farm.submit(&site, &["-gcflags=-e", "."]), 14_000_000);
    assert!(diagnostics(&said) == theirs);
    shows("gofarm submit", few, many);
    let after = peaks();
    shows("the scheduler", before[0], after[0]);
    shows("the worker", before[1], after[1]);

    // Whoever comes later sees the same, and takes no more either.
    let id = newest(&site, &farm);
    let (attached, said) = held_up(farm.gofarm(&site, &["attach", &id]), 14_000_000);
    assert!(diagnostics(&said) == theirs);
    shows("gofarm attach", few, attached);
    for args in [
        &["logs", &id][..],
        &["logs", &id, "compile example.com/m"],
        &["logs", "-f", &id],
    ] {
        let code = i32::from(args.contains(&"-f"));
        let logs = farm.gofarm(&site, args).run().code(code);
        assert!(logs.stdout == theirs, "{args:?}");
    }
    // With what is printed while it runs.
    let events = format!("--events={}", site.path("events").display());
    let (_, said) = held_up(farm.submit(&site, &[&events, "-gcflags=-e", "."]), 1);
    assert!(diagnostics(&said) == theirs);
    let after = peaks();
    shows("the scheduler, at last", before[0], after[0]);
    shows("the worker, at last", before[1], after[1]);
}

/// The build that was submitted last.
fn newest(site: &Site, farm: &Farm) -> String {
    let listed = farm.gofarm(site, &["builds", "--json"]).run().ok();
    let listed: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
    listed[0]["build_id"].as_str().unwrap().to_owned()
}

/// The one blob in a store that is a log of this test.
fn log_blob(site: &Site, store: &Path) -> PathBuf {
    let says = format!(": undefined: name00000{}", mark(site));
    let is_log = |path: &PathBuf| {
        let bytes = fs::read(path).unwrap();
        memchr::memmem::find(&bytes, says.as_bytes()).is_some()
    };
    let logs: Vec<PathBuf> = blobs(&store.join("cas"))
        .into_iter()
        .filter(is_log)
        .collect();
    assert_eq!(logs.len(), 1, "{logs:?}");
    assert!(fs::metadata(&logs[0]).unwrap().len() > LONG as u64);
    logs[0].clone()
}

#[test]
fn a_long_log_that_is_damaged_or_gone_is_told_and_changes_nothing_else() {
    let site = broken(Site::new(), 300, "");
    let farm = Farm::start(&site, SMALL);
    farm.submit(&site, &["-gcflags=-e", "."]).run().code(1);
    let id = newest(&site, &farm);
    let log = log_blob(&site, &farm.path("store"));
    let name = log.file_name().unwrap().to_str().unwrap().to_owned();
    assert!(flip(&log));
    for reason in ["is damaged in", "is not in"] {
        // What was shown of a damaged one is the beginning, and then the same words.
        let attached = farm.gofarm(&site, &["attach", &id]).run().code(1);
        let told = attached
            .stderr
            .lines()
            .find(|line| line.contains("output of compile example.com/m cannot be shown"));
        let told = told.unwrap_or_else(|| panic!("{}", attached.stderr));
        assert!(told.contains(&name) && told.contains(reason), "{told}");
        assert!(told.contains("--no-cache"), "{told}");
        assert!(attached.stderr.contains("# example.com/m\n"));
    }
    let logs = farm.gofarm(&site, &["logs", &id]).run().ok();
    assert!(logs.stdout.contains("cannot be shown: blob"), "{logs:?}");
    let action = farm.gofarm(&site, &["logs", &id, "compile example.com/m"]);
    let action = action.run().code(3);
    assert!(
        action.stderr.contains("is no longer kept: its blob"),
        "{action:?}"
    );
    let status = farm.gofarm(&site, &["status", &id, "--json"]).run().ok();
    assert!(status.stdout.contains("\"failed\""), "{status:?}");

    // The next build prints it again: a failure is not kept.
    let again = farm.submit(&site, &["-gcflags=-e", "."]).run().code(1);
    assert_eq!(again.stderr.matches(": undefined: name").count(), 300);
    assert!(log_blob(&site, &farm.path("store")).exists());
}

#[test]
fn a_long_log_that_is_damaged_in_the_cache_is_written_anew() {
    let site = broken(Site::own_cache(), 300, "");
    let said = site.gofarm(&["submit", "-gcflags=-e", "."]).run().code(1);
    assert_eq!(said.stderr.matches(": undefined: name").count(), 300);
    let log = log_blob(&site, site.cache());
    assert!(flip(&log));
    // The same text once more: what is in its place is not believed.
    let again = site.gofarm(&["submit", "-gcflags=-e", "."]).run().code(1);
    assert_eq!(again.diagnostics(), said.diagnostics());
}

#[test]
fn a_long_log_is_obeyed_by_no_terminal() {
    // Sets the title, clears the screen, and asks the terminal to answer.
    let hostile = "\x1b]0;owned\x07\x1b[2J\x1b[6n\u{9b}5n";
    let site = broken(Site::new(), 300, &format!("//line {hostile}x.go:7\n"));
    let farm = Farm::start(&site, SMALL);
    let failed = farm.submit(&site, &["-gcflags=-e", "."]).run().code(1);
    let id = newest(&site, &farm);
    log_blob(&site, &farm.path("store"));
    let embedded = site.gofarm(&["submit", "-gcflags=-e", "."]).run().code(1);
    let mut texts = vec![failed.stderr, embedded.stderr];
    for args in [
        &["attach", &id][..],
        &["logs", &id],
        &["logs", "--json", &id],
        &["logs", &id, "0"],
        &["logs", "-f", &id, "0"],
    ] {
        let told = farm.gofarm(&site, args).run();
        texts.push(told.stdout + &told.stderr);
    }
    for text in &texts {
        let bad = text
            .chars()
            .find(|c| c.is_control() && !"\n\t".contains(*c));
        assert_eq!(bad, None, "{text:?}");
        assert!(text.contains("x1b]0;owned") || text.contains("u001b]0;owned"));
    }
}
