//! Binaries linked with the placeholder and stamped are the binaries of `go build`.

use std::fs;

use gofarm_identity::{BINARY_BUILD_ID, Stamped, binary_content_id, stamp_binary};

use crate::lab::{self, Build, build, build_in};

const PROGRAM: &str = "package main\n\nfunc main() { println(\"hello\") }\n";

const WITH_C: &str = "package main\n\n// static int one(void) { return 1; }\nimport \"C\"\n\n//export Two\nfunc Two() int { return 2 }\n\nfunc main() { println(C.one()) }\n";

/// Runs the link of a build again with the placeholder as its build ID.
fn link_with_placeholder(build: &Build) -> Vec<u8> {
    let line = build.command_line("link", "-buildid=");
    let real_id = lab::flag(line, "-buildid");
    let place = lab::flag(line, "-o");
    // As linkers may write the name that they are given into the file, or lay it out by that: a bare name (libraries) stays
    // a bare name, and the last part of a path stays the same.
    let (folder, name) = place.rsplit_once('/').unwrap_or(("", place));
    let ours = build.path("ours");
    fs::create_dir(&ours).unwrap();
    let output = ours.join(name);
    let line = line.replace(real_id, BINARY_BUILD_ID);
    let line = if folder.is_empty() {
        format!("cd {}; {line}", ours.display())
    } else {
        line.replace(
            &format!("-o {place} "),
            &format!("-o {} ", output.display()),
        )
    };
    build.shell(&line);
    fs::read(output).unwrap()
}

/// What stands before the last slash.
fn prefix(id: &str) -> &str {
    id.rsplit_once('/').unwrap().0
}

/// The build ID that cmd/go left in its binary. (`go tool buildid` cannot read a C archive's.)
fn build_id(build: &Build, binary: &[u8]) -> String {
    let initial = lab::flag(build.command_line("link", "-buildid="), "-buildid");
    let at = memchr::memmem::find(binary, prefix(initial).as_bytes()).unwrap();
    String::from_utf8(binary[at..at + initial.len()].to_vec()).unwrap()
}

/// Stamps the placeholder's binary with the identities of the real one, and compares.
fn expect_equal(build: &Build) -> Stamped {
    let real = fs::read(&build.binary).unwrap();
    let real_id = build_id(build, &real);
    let mut ours = link_with_placeholder(build);
    assert_ne!(ours, real);
    let stamped = stamp_binary(&mut ours, BINARY_BUILD_ID, prefix(&real_id), &|_| true).unwrap();
    let differences: Vec<_> = (0..real.len().max(ours.len()))
        .filter(|&at| real.get(at) != ours.get(at))
        .collect();
    assert!(
        differences.is_empty(),
        "{} bytes differ, the first at {:#x}",
        differences.len(),
        differences[0]
    );
    assert_eq!(stamped.build_id, real_id);
    let content = real_id.rsplit_once('/').unwrap().1;
    assert_eq!(binary_content_id(&real, &real_id).unwrap(), content);
    stamped
}

fn program(env: &[(&str, &str)], flags: &[&str]) -> Build {
    build(&[("main.go", PROGRAM)], env, flags)
}

const LINUX: [(&str, &str); 3] = [("GOOS", "linux"), ("GOARCH", "amd64"), ("CGO_ENABLED", "0")];
const DARWIN: [(&str, &str); 3] = [
    ("GOOS", "darwin"),
    ("GOARCH", "arm64"),
    ("CGO_ENABLED", "0"),
];

#[test]
fn elf() {
    let stamped = expect_equal(&program(&LINUX, &[]));
    assert_eq!(stamped.places, 1);
}

#[test]
fn macho_with_uuid_and_code_signature() {
    let stamped = expect_equal(&program(&DARWIN, &[]));
    assert_eq!(stamped.places, 1);
}

/// GOROOT's own commands hold their build ID a second time, as a variable. Here `go tool buildid -w` does what cmd/go does
/// after such a link.
#[test]
fn a_variable_that_holds_the_build_id() {
    let source = "package main\n\nvar id string\n\nfunc main() { println(id) }\n";
    let build = build(&[("main.go", source)], &LINUX, &[]);
    let line = build.command_line("link", "-buildid=");
    let initial = lab::flag(line, "-buildid");
    let link = |id: &str, name: &str| {
        let output = build.path(name).to_str().unwrap().to_owned();
        let flags = format!("-buildid={id} -X=main.id={id}");
        let line = line
            .replace(lab::flag(line, "-o"), &output)
            .replace(&format!("-buildid={initial}"), &flags);
        build.shell(&line);
        output
    };
    let real = link(initial, "real");
    build.go(&["tool", "buildid", "-w", &real]);
    let mut ours = fs::read(link(BINARY_BUILD_ID, "ours")).unwrap();
    let stamped = stamp_binary(&mut ours, BINARY_BUILD_ID, prefix(initial), &|_| true).unwrap();
    assert_eq!(stamped.places, 2);
    assert!(ours == fs::read(real).unwrap());
}

#[test]
fn a_host_build_id_of_the_users_own_stays() {
    for own in ["0x0123456789abcdef", "none"] {
        expect_equal(&program(&LINUX, &[&format!("-ldflags=-B={own}")]));
    }
    // The second is too short for a UUID: Go 1.27 then takes another that depends on the whole file.
    for own in ["0x0123456789abcdef0123456789abcdef", "0x0123"] {
        expect_equal(&program(&DARWIN, &[&format!("-ldflags=-B={own}")]));
    }
}

#[test]
fn a_build_id_of_the_users_own_leaves_the_binary_alone() {
    for own in ["users.own.id", ""] {
        let build = program(&LINUX, &[&format!("-ldflags=-buildid={own}")]);
        let real = fs::read(&build.binary).unwrap();
        let mut ours = real.clone();
        let parts = ["l", "m", "c"].map(|part| part.repeat(20)).join("/");
        let stamped = stamp_binary(&mut ours, BINARY_BUILD_ID, &parts, &|_| true).unwrap();
        assert_eq!(stamped.places, 0);
        assert!(ours == real);
        let content = binary_content_id(&real, BINARY_BUILD_ID).unwrap();
        assert_eq!(stamped.build_id, format!("{parts}/{content}"));
    }
}

/// Each compiles the runtime once more.
#[test]
#[ignore = "long; run it when a Go release is added or this crate changes"]
fn usual_targets() {
    let all = [
        ("linux", "arm64"),
        ("darwin", "amd64"),
        ("windows", "amd64"),
    ];
    expect_equal_on(&all, &[]);
    expect_equal_on(&all, &["-ldflags=-s -w"]);
    expect_equal_on(
        &[("linux", "amd64"), ("darwin", "arm64")],
        &["-ldflags=-s -w"],
    );
    expect_equal_on(
        &[("linux", "amd64"), ("windows", "amd64")],
        &["-buildmode=pie"],
    );
}

/// Each compiles the runtime once more.
#[test]
#[ignore = "long; run it when a Go release is added or this crate changes"]
fn rare_targets() {
    expect_equal_on(
        &[
            ("linux", "386"),
            ("linux", "s390x"),
            ("windows", "arm64"),
            ("freebsd", "amd64"),
            ("solaris", "amd64"),
            ("plan9", "amd64"),
            ("aix", "ppc64"),
            ("js", "wasm"),
            ("wasip1", "wasm"),
        ],
        &[],
    );
}

fn expect_equal_on(targets: &[(&str, &str)], flags: &[&str]) {
    for (os, arch) in targets {
        eprintln!("{os}/{arch} {flags:?}");
        let env = [("GOOS", *os), ("GOARCH", *arch), ("CGO_ENABLED", "0")];
        expect_equal(&program(&env, flags));
    }
}

/// Needs a C compiler.
#[test]
#[ignore = "long; run it when a Go release is added or this crate changes"]
fn external_links() {
    let env = [("GOOS", "linux"), ("GOARCH", "amd64"), ("CGO_ENABLED", "1")];
    for flags in [
        &["-ldflags=-linkmode=external"][..],
        &["-ldflags=-linkmode=external -s -w"],
        &["-ldflags=-linkmode=external -B=none"],
        &["-buildmode=pie"],
        &["-buildmode=c-shared"],
        &["-buildmode=c-archive"],
        &["-buildmode=plugin"],
        &["-race"],
        &[],
    ] {
        eprintln!("{flags:?}");
        expect_equal(&build(&[("main.go", WITH_C)], &env, flags));
    }
}

/// GNU ld fills in the checksum of PE files. Needs gcc for Windows: `GOFARM_TEST_MINGW` names it.
#[test]
#[ignore = "needs mingw-w64"]
fn windows_external_link() {
    let compiler = std::env::var("GOFARM_TEST_MINGW").unwrap();
    let env = [
        ("GOOS", "windows"),
        ("GOARCH", "amd64"),
        ("CGO_ENABLED", "1"),
        ("CC", &compiler),
    ];
    for flags in [
        &["-ldflags=-linkmode=external"][..],
        &["-ldflags=-linkmode=external -s -w"],
        &["-buildmode=c-shared"],
        &["-buildmode=c-archive"],
    ] {
        eprintln!("{flags:?}");
        expect_equal(&build(&[("main.go", WITH_C)], &env, flags));
    }
}

/// A command of GOROOT, which holds its build ID twice.
#[test]
#[ignore = "compiles a good part of the standard library"]
fn commands_of_goroot() {
    for package in ["cmd/asm", "cmd/gofmt"] {
        for target in [&LINUX[..], &DARWIN, &[]] {
            eprintln!("{package} {target:?}");
            expect_equal(&build_in(
                tempfile::tempdir().unwrap(),
                target,
                &[],
                package,
            ));
        }
    }
}
