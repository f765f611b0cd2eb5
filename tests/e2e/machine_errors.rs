//! Trouble of the machine: exit code 3, a message that says what to do, and a cache that is sound afterwards.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use gofarm_testkit::built;
use insta::assert_snapshot;

use crate::harness::{Site, shown};

const TINY: &str = "package main\n\nfunc main() { println(\"tiny\") }\n";

/// Runs a script in which folders can be mounted; false, said aloud, where this machine does not allow it.
fn with_mounts(site: &Site, script: &str) -> bool {
    let allowed = site
        .command(
            Path::new("unshare"),
            &["-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
        )
        .run();
    if !allowed.status.success() {
        eprintln!(
            "not tested: this machine does not allow mounts: {}",
            allowed.stderr
        );
        return false;
    }
    let args = ["-rm", "sh", "-e", "-c", script];
    site.command(Path::new("unshare"), &args)
        .env("GOFARM", &built("gofarm").to_string_lossy())
        .run()
        .ok();
    true
}

/// A program that is there is what `go build` makes.
#[track_caller]
fn is_right(site: &Site, program: &str) {
    site.go(&["build", "-trimpath", "-o", "theirs", "."])
        .run()
        .ok();
    let (ours, theirs) = (fs::read(site.src(program)), fs::read(site.src("theirs")));
    assert!(ours.unwrap() == theirs.unwrap(), "{program}");
}

#[test]
fn no_go_command() {
    let site = Site::cold();
    let empty = site.path("home");
    let finished = site
        .gofarm(&["submit"])
        .env("PATH", &empty.to_string_lossy())
        .run();
    assert_snapshot!(shown(&site, &finished));
}

#[test]
fn a_go_command_that_is_too_old() {
    let site = Site::cold().module(&[("main.go", TINY)]);
    let go = site.path("home/go");
    // What Go 1.20 answers to the two questions that come before any planning.
    let script = "#!/bin/sh\ncase \"$2\" in\n-json) echo '{\"GOVERSION\": \"go1.20.14\", \"GOOS\": \"linux\"}' ;;\n*) echo ;;\nesac\n";
    fs::write(&go, script).unwrap();
    fs::set_permissions(&go, Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", site.path("home").display());
    let finished = site.gofarm(&["submit"]).env("PATH", &path).run();
    assert_snapshot!(shown(&site, &finished));
}

#[test]
fn no_c_compiler() {
    let site = Site::cold().module(&[("p.go", "package p\n\nimport \"C\"\n")]);
    let finished = site
        .gofarm(&["submit"])
        .env("CGO_ENABLED", "1")
        .env("CC", "no-such-compiler")
        .run();
    assert_snapshot!(shown(&site, &finished));
}

#[test]
fn a_disk_that_is_full_at_once() {
    let site = Site::own_cache().module(&[("main.go", TINY)]);
    fs::create_dir(site.cache()).unwrap();
    let script = "
        mount -t tmpfs -o size=4m tmpfs \"$GOFARM_CACHE_DIR\"
        $GOFARM submit 2>first && exit 1 || echo $? >code
        mount -o remount,size=1g \"$GOFARM_CACHE_DIR\"
        $GOFARM submit";
    if with_mounts(&site, script) {
        assert_eq!(fs::read_to_string(site.src("code")).unwrap(), "3\n");
        assert_snapshot!(
            fs::read_to_string(site.src("first"))
                .unwrap()
                .replace(&*site.path("").to_string_lossy(), "[SITE]/")
        );
        is_right(&site, "bin/m");
    }
}

#[test]
fn a_disk_that_is_full_while_tools_write() {
    let site = Site::own_cache().module(&[("main.go", TINY)]);
    fs::create_dir(site.cache()).unwrap();
    // First the tools are stored and little more, then some of what they make.
    let script = "
        mount -t tmpfs -o size=44m tmpfs \"$GOFARM_CACHE_DIR\"
        for size in 44 50; do
            mount -o remount,size=${size}m \"$GOFARM_CACHE_DIR\"
            $GOFARM submit 2>>errors && exit 1 || echo $? >>codes
        done
        mount -o remount,size=1g \"$GOFARM_CACHE_DIR\"
        $GOFARM submit";
    if with_mounts(&site, script) {
        let errors = fs::read_to_string(site.src("errors")).unwrap();
        let codes = fs::read_to_string(site.src("codes")).unwrap();
        assert_eq!(codes, "3\n3\n", "{errors}");
        assert!(errors.contains("the disk is full"), "{errors}");
        assert!(!errors.contains("defect"), "{errors}");
        is_right(&site, "bin/m");
    }
}

#[test]
fn what_a_compiler_says_at_length_is_told_on_a_full_disk_too() {
    let wrong: Vec<String> = (0..20_000)
        .map(|number| format!("var _ = undefined{number}\n"))
        .collect();
    let wrong = format!("package main\n\n{}", wrong.concat());
    // Each of its errors has its name.
    let name = format!("wrong/{}.go", "w".repeat(240));
    let site = Site::own_cache().module(&[("main.go", TINY), (&name, &wrong)]);
    fs::create_dir(site.cache()).unwrap();
    // It has half a MiB and makes the compiler say 5 MiB.
    let script = "
        mount -t tmpfs -o size=1g tmpfs \"$GOFARM_CACHE_DIR\"
        $GOFARM submit
        used=$(du -sk \"$GOFARM_CACHE_DIR\" | cut -f 1)
        mount -o remount,size=$((used + 4096))k \"$GOFARM_CACHE_DIR\"
        $GOFARM submit -gcflags=-e ./wrong 2>errors && exit 1 || echo $? >code";
    if with_mounts(&site, script) {
        let errors = fs::read_to_string(site.src("errors")).unwrap();
        let code = fs::read_to_string(site.src("code")).unwrap();
        assert_eq!(code, "1\n", "{errors}");
        for told in [
            "undefined: undefined0\n",
            " bytes are left out here, they cannot be kept: the disk is full: ",
            "undefined: undefined19999\n",
        ] {
            assert!(errors.contains(told), "{told}: {errors}");
        }
        assert!(!errors.contains("undefined: undefined10000\n"), "{errors}");
    }
}

#[test]
fn a_cache_folder_that_cannot_be_written() {
    let site = Site::own_cache().module(&[("p.go", "package p\n")]);
    fs::create_dir(site.cache()).unwrap();
    let script = "
        read_only() {
            mount --bind \"$GOFARM_CACHE_DIR\" \"$GOFARM_CACHE_DIR\"
            mount -o remount,bind,ro \"$GOFARM_CACHE_DIR\"
            $GOFARM submit . 2>\"$1\" && exit 1 || echo $? >>codes
            umount \"$GOFARM_CACHE_DIR\"
        }
        read_only empty
        $GOFARM submit .
        read_only filled
        $GOFARM submit .";
    if with_mounts(&site, script) {
        assert_eq!(fs::read_to_string(site.src("codes")).unwrap(), "3\n3\n");
        let said = |name: &str| {
            let text = fs::read_to_string(site.src(name)).unwrap();
            text.replace(&*site.path("").to_string_lossy(), "[SITE]/")
        };
        assert_snapshot!(said("empty"));
        assert!(said("filled").contains("read-only"), "{}", said("filled"));
    }
}

#[test]
fn a_cache_folder_that_is_a_file() {
    let site = Site::own_cache().module(&[("p.go", "package p\n")]);
    fs::write(site.cache(), "").unwrap();
    let finished = site.gofarm(&["submit", "."]).run();
    assert_snapshot!(shown(&site, &finished));
}

#[test]
fn a_folder_in_the_way_of_the_program() {
    let site = Site::cold().module(&[("main.go", TINY)]);
    fs::create_dir_all(site.src("bin/m")).unwrap();
    let finished = site.gofarm(&["submit"]).run();
    assert_snapshot!(shown(&site, &finished));
}

#[test]
fn no_folder_for_temporary_files() {
    let site = Site::cold().module(&[("main.go", "package main\n\nfunc main() {}\n")]);
    let missing = site.path("none").display().to_string();
    for (name, value) in [
        ("TMPDIR", missing.as_str()),
        ("GOTMPDIR", &missing),
        ("TMPDIR", "/dev/null"),
    ] {
        let refused = site.gofarm(&["submit", "."]).env(name, value).run().code(3);
        assert!(refused.stderr.contains("TMPDIR"), "{}", refused.stderr);
    }
}
