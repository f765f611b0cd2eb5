//! A farm whose store is full: whoever wants to store something hears it at once, and what is stored can still be used.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::bad_workers::{mounted, mounts_are_allowed};
use crate::harness::{FARM, Farm, Site, Size, eventually, is_what_go_builds, summary};

const SMALL: Size = Size {
    schedulers: 1,
    workers: 1,
    slots: 2,
    ..FARM
};

/// Enough for a small program with the tools that it takes.
const DISK: &str = "size=160m";

/// A client that would try again does so for minutes.
const AT_ONCE: Duration = Duration::from_secs(30);

/// Room that is left: for sources, not for what is made of them.
const LITTLE: u64 = 256 << 10;

fn main(text: &str) -> String {
    format!("package main\n\nfunc main() {{ println({text:?}) }}\n")
}

/// A farm whose store lies on a small disk, and that disk as this process sees it.
fn farm(site: &Site) -> (Farm, PathBuf) {
    let store = site.path("farm/store");
    let url = format!("file://{}", store.display());
    let called = |recipe| mounted(recipe, &store, DISK);
    let farm = Farm::with_schedulers(site, SMALL, &url, &[], &called);
    let inside = format!("/proc/{}/root{}", farm.schedulers[0].pid(), store.display());
    (farm, inside.into())
}

/// Fills the disk but for so many bytes. Removing the file makes room again.
fn fill(disk: &std::path::Path, but: u64) -> PathBuf {
    let ballast = disk.join("ballast");
    let mut file = File::create(&ballast).unwrap();
    let piece = vec![0; 64 << 10];
    let mut size = 0;
    while file.write_all(&piece).is_ok() {
        size += piece.len() as u64;
    }
    file.set_len(size.saturating_sub(but)).unwrap();
    ballast
}

/// What the scheduler's HTTP port says.
fn get(farm: &Farm, path: &str) -> String {
    let line = farm.schedulers[0].says(&["serving"]);
    let (_, after) = line.split_once("http=").unwrap();
    let address = after.split_whitespace().next().unwrap();
    let mut connection = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_full_store_is_told_at_once_and_cached_builds_go_on() {
    let site = Site::new().module(&[("main.go", &main("one"))]);
    if !mounts_are_allowed(&site) {
        return;
    }
    let (farm, disk) = farm(&site);
    farm.submit(&site, &[]).run().ok();
    let ballast = fill(&disk, 0);

    site.write("main.go", &main("two"));
    site.age();
    let began = Instant::now();
    let refused = farm.submit(&site, &[]).run().code(3).stderr;
    assert!(
        began.elapsed() < AT_ONCE,
        "{:?}: {refused}",
        began.elapsed()
    );
    let store = site.path("farm/store").display().to_string();
    for words in [
        &farm.url()[..],
        "it has no room",
        &store,
        "the disk is full; free some space",
    ] {
        assert!(refused.contains(words), "{words}: {refused}");
    }
    // It is looked at once a second.
    let ready = eventually(
        || get(&farm, "/readyz"),
        || {
            let ready = get(&farm, "/readyz");
            let told = ready.contains("\"store_room\":\"cannot write below");
            told.then_some(ready)
        },
    );
    assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
    assert!(get(&farm, "/metrics").contains("gofarm_store_full 1"));

    // Nothing of this has to be stored.
    site.write("main.go", &main("one"));
    site.age();
    farm.submit(&site, &[]).run().ok();
    assert_eq!(summary(&site).actions.executed, 0);
    is_what_go_builds(&site, "bin/m");

    fs::remove_file(ballast).unwrap();
    site.write("main.go", &main("two"));
    site.age();
    farm.submit(&site, &[]).run().ok();
    is_what_go_builds(&site, "bin/m");
    eventually(
        || "the store stays full".to_owned(),
        || {
            get(&farm, "/metrics")
                .contains("gofarm_store_full 0")
                .then_some(())
        },
    );
}

#[test]
fn a_worker_that_cannot_store_what_it_made_gives_the_task_back() {
    let site = Site::new().module(&[("main.go", &main("one"))]);
    if !mounts_are_allowed(&site) {
        return;
    }
    let (farm, disk) = farm(&site);
    farm.submit(&site, &[]).run().ok();
    let ballast = fill(&disk, LITTLE);
    site.write("main.go", &main("two"));
    site.age();
    let running = farm.submit(&site, &[]).start();
    farm.workers[0].says(&["reported", "given back", "it has no room"]);
    fs::remove_file(ballast).unwrap();
    running.wait().ok();
    is_what_go_builds(&site, "bin/m");
    let log = farm.workers[0].log();
    assert!(!log.contains("outcome=\"crashed\""), "{log}");
}

#[test]
fn a_failure_that_prints_much_is_told_by_a_farm_whose_store_is_full() {
    let mut source = "package m\n\nfunc F() {\n".to_owned();
    for number in 0..2_000 {
        source.push_str(&format!("\tname{number:05}{}()\n", "x".repeat(400)));
    }
    source.push_str("}\n");
    let site = Site::new().module(&[("m.go", &source)]);
    if !mounts_are_allowed(&site) {
        return;
    }
    let (farm, disk) = farm(&site);
    // Now the store has the source, and the tools.
    farm.submit(&site, &[]).run().code(1);
    fill(&disk, LITTLE);
    let failed = farm.submit(&site, &["-gcflags=-e"]).run().code(1).stderr;
    assert!(failed.contains("# example.com/m\n"), "{failed}");
    let shown = failed.matches(": undefined: name").count();
    assert!((20..2_000).contains(&shown), "{shown}: {failed}");
    assert!(
        failed.contains("gofarm: the rest of this output is lost: the farm's store is full"),
        "{failed}"
    );
}
