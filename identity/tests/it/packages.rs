//! Packages compiled with the placeholder, in two files, have the content IDs that cmd/go gives them.

use std::fs;

use gofarm_identity::{PACKAGE_BUILD_ID, archive, full_archive, package_content_id, stamp_package};

use crate::lab;

const MAIN: &str = "package main\n\nimport \"example.com/m/lib\"\n\nfunc main() { println(lib.Add(1, 2), lib.Stamp) }\n";
const LIB: &str = "package lib\n\nfunc Add(a, b int64) int64\n\nfunc Join(s []string) (all string) {\n\tfor _, s := range s {\n\t\tall += s\n\t}\n\treturn all\n}\n";
const ASM: &str = "#include \"textflag.h\"\n\nTEXT ·Add(SB), NOSPLIT, $0-24\n\tMOVQ a+0(FP), AX\n\tADDQ b+8(FP), AX\n\tMOVQ AX, ret+16(FP)\n\tRET\n";
const AMD64: [(&str, &str); 3] = [("GOOS", "linux"), ("GOARCH", "amd64"), ("CGO_ENABLED", "0")];

#[test]
fn a_package_with_assembly() {
    // A constant that no earlier run had makes cmd/go compile again, and print how.
    let now = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap()
        .as_nanos();
    let lib = format!("{LIB}\nconst Stamp = \"{now}\"\n");
    let files = [
        ("main.go", MAIN),
        ("lib/lib.go", &lib),
        ("lib/add_amd64.s", ASM),
    ];
    let build = lab::build(&files, &AMD64, &[]);

    let compile = build.command_line("compile", "-p example.com/m/lib ");
    let (export, object) = (build.path("lib.x"), build.path("lib.a"));
    let output = lab::flag(compile, "-o");
    let both = format!("{} -linkobj {}", export.display(), object.display());
    build.shell(
        &compile
            .replace(output, &both)
            .replace(lab::flag(compile, "-buildid"), PACKAGE_BUILD_ID),
    );
    let folder = output
        .strip_prefix("$WORK/")
        .unwrap()
        .replace("_pkg_.a", "add_amd64.o");
    let member = std::fs::read(build.work(&folder)).unwrap();
    let mut appended = std::fs::OpenOptions::new()
        .append(true)
        .open(&object)
        .unwrap();
    let size = member.len() as u64;
    archive::append_member(&mut appended, "add_amd64.o", size, &mut &member[..]).unwrap();

    let list = [
        "list",
        "-trimpath",
        "-export",
        "-f",
        "{{.Export}} {{.BuildID}}",
        "./lib",
    ];
    let listed = build.go(&list);
    let (cached, real_id) = listed.split_once(' ').unwrap();
    let (_, content) = real_id.split_once('/').unwrap();
    let (export, object) = (fs::read(export).unwrap(), fs::read(object).unwrap());
    assert_eq!(
        package_content_id(&export, &object, PACKAGE_BUILD_ID).unwrap(),
        content
    );

    let mut ours = full_archive(&export, &object).unwrap();
    let names: Vec<String> = archive::members(&ours)
        .unwrap()
        .into_iter()
        .map(|m| m.name)
        .collect();
    assert_eq!(names, ["__.PKGDEF", "_go_.o", "add_amd64.o"]);
    stamp_package(&mut ours, PACKAGE_BUILD_ID, real_id).unwrap();
    assert!(
        ours == fs::read(cached).unwrap(),
        "not the archive that cmd/go cached"
    );
}
