//! Programs are byte for byte those of `go build`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::harness::Site;

/// `gofarm verify` with these variables must say of each of these programs, and of no others, that it is identical.
#[track_caller]
fn verify(site: &Site, vars: &[(&str, &str)], args: &[&str], programs: &[&str]) {
    let mut all = vec!["verify"];
    all.extend(args);
    let mut command = site.gofarm(&all);
    for (name, value) in vars {
        command = command.env(name, value);
    }
    let finished = command.run().ok();
    let identical: Vec<&str> = finished
        .stdout
        .lines()
        .filter_map(|line| line.strip_prefix("identical "))
        .collect();
    assert_eq!(identical, programs, "{}", finished.stdout);
    assert!(
        !finished.stdout.contains("different"),
        "{}",
        finished.stdout
    );
}

/// A program that needs little of the standard library.
const TINY: &str =
    "package main\n\nvar Greeting = \"hello\"\n\nfunc main() { println(Greeting) }\n";

fn tiny() -> Site {
    Site::cold().module(&[("main.go", TINY)])
}

fn example(name: &str) -> Site {
    let site = Site::new();
    site.example(name);
    site
}

#[test]
fn the_example() {
    let site = example("monorepo");
    verify(
        &site,
        &[],
        &["./..."],
        &["invoice", "report", "shopctl", "shopd"],
    );
}

#[test]
fn the_example_without_cgo() {
    let site = example("monorepo");
    verify(
        &site,
        &[("CGO_ENABLED", "0")],
        &["./cmd/shopctl"],
        &["shopctl"],
    );
}

#[test]
fn tags() {
    let site = example("monorepo");
    verify(&site, &[], &["-tags=pro", "./cmd/report"], &["report"]);
}

#[test]
fn linker_flags() {
    let site = example("monorepo");
    let version = "-ldflags=-s -w -X example.com/shop/internal/version.version=1.4.0";
    verify(&site, &[], &[version, "./cmd/shopctl"], &["shopctl"]);
    let site = tiny();
    verify(&site, &[], &["-ldflags=-X=main.Greeting=hallo"], &["m"]);
    verify(&site, &[], &["-ldflags=-s -w"], &["m"]);
}

#[test]
fn compiler_flags() {
    let site = tiny();
    verify(&site, &[], &["-gcflags=-N -l"], &["m"]);
    verify(
        &site,
        &[],
        &["-asmflags=-D X=1", "-p=2", "-mod=mod"],
        &["m"],
    );
}

#[test]
fn a_data_race_detector() {
    verify(&tiny(), &[], &["-race"], &["m"]);
}

#[test]
fn coverage() {
    let site = Site::new().module(&[("main.go", TINY)]);
    verify(&site, &[], &["-cover"], &["m"]);
    verify(
        &site,
        &[],
        &["-cover", "-covermode=atomic", "-coverpkg=./..."],
        &["m"],
    );
}

#[test]
fn a_profile_beside_the_program() {
    let site = tiny();
    std::fs::copy(
        crate::harness::examples().join("variants/pgo/default.pgo"),
        site.src("default.pgo"),
    )
    .unwrap();
    verify(&site, &[], &[], &["m"]);
}

#[test]
fn a_profile_that_is_named_or_left_out() {
    let site = example("variants/pgo");
    verify(&site, &[], &["-pgo=off"], &["pgo"]);
    let site = tiny();
    let profile = crate::harness::examples().join("variants/pgo/default.pgo");
    verify(
        &site,
        &[],
        &[&format!("-pgo={}", profile.display())],
        &["m"],
    );
}

#[test]
fn a_vendor_folder() {
    verify(&example("variants/vendored"), &[], &[], &["vendored"]);
}

#[test]
fn a_workspace() {
    verify(
        &example("variants/workspace"),
        &[],
        &["./hello"],
        &["hello"],
    );
}

#[test]
fn cgo_with_headers_in_another_folder() {
    verify(&example("variants/cgopath"), &[], &[], &["cgopath"]);
}

#[test]
fn cgo_with_pkg_config() {
    let site = example("variants/pkgconfig");
    let path = site.src("clib");
    verify(
        &site,
        &[("PKG_CONFIG_PATH", &path.to_string_lossy())],
        &[],
        &["pkgconfig"],
    );
}

#[test]
fn cgo_with_a_compiler_that_is_not_on_path() {
    // Not below /tmp, of which an action has its own.
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let compiler = folder.path().join("wrapped gcc");
    fs::write(&compiler, "#!/bin/sh\nexec gcc \"$@\"\n").unwrap();
    fs::set_permissions(&compiler, fs::Permissions::from_mode(0o755)).unwrap();
    let site = example("variants/cgopath");
    // A script, of which only its author knows what it reads.
    let declared = format!("compilers = {:?}\n", compiler.display().to_string());
    site.write("gofarm.toml", &declared);
    let compiler = format!("'{}' -O1", compiler.display());
    verify(&site, &[("CC", &compiler)], &[], &["cgopath"]);
}

#[test]
fn cgo_with_c_plus_plus() {
    verify(&example("variants/cxx"), &[], &[], &["cxx"]);
}

#[test]
fn embedded_files() {
    let site = Site::new().module(&[
        (
            "main.go",
            "package main\n\nimport \"embed\"\n\n//go:embed all:data *.txt\nvar files embed.FS\n\nfunc main() {\n\tentries, _ := files.ReadDir(\"data\")\n\tprintln(len(entries))\n}\n",
        ),
        ("data/a.bin", "\u{0}a"),
        ("data/_hidden", "h"),
        ("b.txt", "b"),
    ]);
    verify(&site, &[], &[], &["m"]);
    site.gofarm(&["submit"]).run().ok();
    assert_eq!(
        site.command(&site.src("bin/m"), &[]).run().ok().stderr,
        "2\n"
    );
}

#[test]
fn assembly() {
    let site = Site::cold().module(&[
        ("main.go", "package main\n\nfunc twice(n int) int\n\nfunc main() { println(twice(21)) }\n"),
        (
            "twice_amd64.s",
            "#include \"textflag.h\"\n#include \"shift.h\"\n\nTEXT ·twice(SB), NOSPLIT, $0-16\n\tMOVQ n+0(FP), AX\n\tSHLQ $SHIFT, AX\n\tMOVQ AX, ret+8(FP)\n\tRET\n",
        ),
        (
            "twice_arm64.s",
            "#include \"textflag.h\"\n#include \"shift.h\"\n\nTEXT ·twice(SB), NOSPLIT, $0-16\n\tMOVD n+0(FP), R0\n\tLSL $SHIFT, R0, R0\n\tMOVD R0, ret+8(FP)\n\tRET\n",
        ),
        ("shift.h", "#define SHIFT 1\n"),
    ]);
    verify(&site, &[], &[], &["m"]);
    verify(
        &site,
        &[("GOOS", "linux"), ("GOARCH", "arm64"), ("CGO_ENABLED", "0")],
        &[],
        &["m"],
    );
}

#[test]
fn macos() {
    verify(
        &tiny(),
        &[("GOOS", "darwin"), ("GOARCH", "arm64")],
        &[],
        &["m"],
    );
}

#[test]
fn windows() {
    let site = tiny();
    verify(
        &site,
        &[("GOOS", "windows"), ("GOARCH", "amd64")],
        &[],
        &["m.exe"],
    );
}

#[test]
fn paths_of_this_machine() {
    let site = tiny();
    verify(&site, &[], &["-trimpath=false"], &["m"]);
}

#[test]
fn a_position_independent_executable() {
    verify(&tiny(), &[], &["-buildmode=pie"], &["m"]);
}

#[test]
fn a_program_of_named_files() {
    verify(&tiny(), &[], &["./main.go"], &["main"]);
}

#[test]
fn the_state_of_the_repository() {
    let site = tiny();
    let git = |args: &[&str]| {
        let command = site.command(Path::new("git"), args);
        command
            .env("GIT_AUTHOR_NAME", "a")
            .env("GIT_AUTHOR_EMAIL", "a@example.com")
            .env("GIT_COMMITTER_NAME", "a")
            .env("GIT_COMMITTER_EMAIL", "a@example.com")
            .run()
            .ok();
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "first"]);
    verify(&site, &[], &["-buildvcs=true"], &["m"]);
    site.write("new.txt", "makes the repository dirty\n");
    verify(&site, &[], &["-buildvcs=true"], &["m"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "second"]);
    git(&["tag", "v1.2.3"]);
    verify(&site, &[], &["-buildvcs=true"], &["m"]);
}

#[test]
fn a_difference_is_told() {
    use std::os::unix::fs::PermissionsExt;
    let site = tiny();
    let path = std::env::var("PATH").unwrap();
    let real = std::env::split_paths(&path)
        .map(|folder| folder.join("go"))
        .find(|go| go.is_file())
        .unwrap();
    // A go command that really builds with another text than it planned with.
    let script = format!(
        "#!/bin/sh\nfor arg; do\n\t[ \"$arg\" = -n ] && exec {go} \"$@\"\ndone\n[ \"$1\" = build ] && shift && set -- build -ldflags=-X=main.Greeting=hallo \"$@\"\nexec {go} \"$@\"\n",
        go = real.display()
    );
    std::fs::write(site.path("home/go"), script).unwrap();
    std::fs::set_permissions(site.path("home/go"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let finished = site
        .gofarm(&["verify"])
        .env("PATH", &format!("{}:{path}", site.path("home").display()))
        .run()
        .code(1);
    insta::assert_snapshot!(crate::harness::shown(&site, &finished));
}
