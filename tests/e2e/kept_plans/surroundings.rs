//! What a plan rests on beside the sources: which go command is started, which tags lead to a commit.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::harness::{Site, built_by_both, facts, same};

const PRINTS: &str = "package main\n\nimport \"runtime/debug\"\n\nfunc main() {\n\tinfo, _ := debug.ReadBuildInfo()\n\tprint(info.Main.Version)\n}\n";

/// As version managers have it: what stands on PATH reads a file to know which command to start, and how.
#[test]
fn a_program_in_the_place_of_go_starts_another_one() {
    let site = Site::new().module(&[("main.go", PRINTS)]);
    let bin = site.path("bin");
    fs::create_dir_all(&bin).unwrap();
    let go = format!("{}/bin/go", facts().go("GOROOT"));
    let text = format!(
        "#!/bin/sh\nGOARCH=$(cat {}) exec {go} \"$@\"\n",
        site.path("arch").display()
    );
    fs::write(bin.join("go"), text).unwrap();
    fs::set_permissions(bin.join("go"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let vars = [("PATH", path.as_str()), ("CGO_ENABLED", "0")];
    let built = |arch: &str| {
        fs::write(site.path("arch"), arch).unwrap();
        fs::read(built_by_both(&site, &vars, &[])).unwrap()
    };
    let first = built("amd64");
    assert_eq!(built("amd64"), first);
    assert_ne!(built("arm64"), first);
    assert_eq!(built("amd64"), first);
}

/// A clone that is deepened, or a commit that gets other parents: tag and commit stay, and the version does not.
#[test]
fn a_tag_leads_to_the_commit_no_longer() {
    let site = Site::new().module(&[("main.go", PRINTS)]);
    let git = |args: &[&str]| {
        let mut all = vec!["-c", "user.name=n", "-c", "user.email=e@example.com"];
        all.extend(args);
        site.command("git".as_ref(), &all).run().ok();
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "one"]);
    git(&["tag", "v1.2.3"]);
    git(&["commit", "-q", "--allow-empty", "-m", "two"]);
    let built = |name: &str| {
        site.submit(&["-o", "../ours"]);
        site.go(&["build", "-trimpath", "-o", "../theirs"])
            .run()
            .ok();
        same(&site.path("ours"), &site.path("theirs"));
        site.command(&site.path(name), &[]).run().ok().stderr
    };
    let before = built("ours");
    assert!(before.starts_with("v1.2.4-0."), "{before}");
    built("ours");
    git(&["replace", "--graft", "HEAD"]);
    let after = built("ours");
    assert!(after.starts_with("v0.0.0-"), "{after}");
}
