//! Names of folders that Go's tools read in another way, and pipes where files are expected.

use std::fs;
use std::path::Path;

use crate::harness::{Site, built_by_both};

const PROGRAM: &str = "package main\n\nfunc main() { panic(\"where\") }\n";

fn pipe(site: &Site, path: &Path) {
    site.command("mkfifo".as_ref(), &[&path.to_string_lossy()])
        .run()
        .ok();
}

#[test]
fn a_trimpath_of_the_users_own_is_that_of_go_or_refused() {
    let site = Site::new().module(&[("main.go", PROGRAM)]);
    let src = site.path("src").display().to_string();
    built_by_both(&site, &[], &[&format!("-gcflags=-trimpath={src}")]);
    let parent = site.path("").display().to_string();
    for rewrites in [parent.trim_end_matches('/'), "/nowhere"] {
        let flag = format!("-gcflags=-trimpath={rewrites}");
        let said = site.gofarm(&["submit", "-o", "ours", &flag]).run().code(2);
        let said = said.stderr;
        assert!(said.contains("the tool flag -trimpath="), "{said}");
    }
}

#[test]
fn a_folder_with_a_semicolon_in_its_name_is_refused() {
    let site = Site::new().module(&[("main.go", PROGRAM)]);
    let folder = site.path("x;y");
    fs::rename(site.path("src"), &folder).unwrap();
    fs::create_dir(site.path("src")).unwrap();
    let said = site.gofarm(&["submit", "-o", "ours"]).folder(&folder);
    let said = said.run().code(2).stderr;
    assert!(said.contains("rename the folder"), "{said}");
}

#[test]
fn a_pipe_is_no_output() {
    let site = Site::new().module(&[("main.go", PROGRAM)]);
    pipe(&site, &site.src("ours"));
    let said = site.gofarm(&["submit", "-o", "ours"]).run().code(1);
    let said = said.diagnostics();
    assert!(
        said.contains("already exists and is a named pipe"),
        "{said}"
    );
}

#[test]
fn a_pipe_in_the_place_of_a_kept_plan_is_not_waited_for() {
    let site = Site::new().module(&[("main.go", PROGRAM)]);
    let cache = site.path("cache");
    site.copy_cache(&cache);
    let flag = format!("--cache-dir={}", cache.display());
    let build = || site.submit(&["-o", "ours", &flag]);
    build();
    let mut replaced = 0;
    for entry in fs::read_dir(cache.join("client/plans")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::remove_file(&path).unwrap();
            pipe(&site, &path);
            replaced += 1;
        }
    }
    assert_ne!(replaced, 0);
    assert!(!build().plan_reused);
}

#[test]
fn a_cache_heals_itself_where_something_else_stands_in_the_place_of_a_part() {
    let site = Site::new().module(&[("main.go", PROGRAM)]);
    let cache = site.path("cache");
    site.copy_cache(&cache);
    let flag = format!("--cache-dir={}", cache.display());
    let mut number = 0;
    let mut build = || {
        number += 1;
        site.write("main.go", &format!("{PROGRAM}\n// {number}\n"));
        site.submit(&["-o", "ours", &flag])
    };
    build();
    let socket = |path: &Path| {
        // The name of a socket must be short.
        let beside = site.path("socket");
        drop(std::os::unix::net::UnixListener::bind(&beside).unwrap());
        fs::rename(beside, path).unwrap();
    };
    let some = |folder: &str| {
        let mut entries = fs::read_dir(cache.join(folder)).unwrap();
        entries.next().unwrap().unwrap().path()
    };
    let names = [
        "client/files",
        "client/history",
        "client/c-toolchains",
        "tally",
        "evict.lock",
        "gate.lock",
        "format",
    ];
    let paths = names.map(|name| cache.join(name));
    for path in &paths {
        let _ = fs::remove_file(path);
        fs::create_dir(path).unwrap();
    }
    build();
    for path in &paths {
        // Where nobody needed it, the folder is there still.
        let _ = fs::remove_dir(path);
        let _ = fs::remove_file(path);
        socket(path);
    }
    build();
    // Of results, too, and of their folders.
    let shard = some("actions");
    let result = fs::read_dir(&shard)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    fs::remove_file(&result).unwrap();
    socket(&result);
    build();
    fs::remove_dir_all(&shard).unwrap();
    socket(&shard);
    build();
    fs::remove_dir_all(cache.join("client")).unwrap();
    socket(&cache.join("client"));
    build();
    assert!(build().plan_reused);
}
