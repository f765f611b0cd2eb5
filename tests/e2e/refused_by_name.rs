//! What `go build` does and gofarm does not, each refused by its name before anything runs.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::harness::{Site, built_by_both};

const MAIN: &str = "package main\n\nfunc main() { println(\"here\") }\n";

/// What gofarm says with exit code 2.
#[track_caller]
fn refused(site: &Site, vars: &[(&str, &str)], flags: &[&str]) -> String {
    let mut command = site.gofarm(&[&["submit", "-o", "ours"], flags].concat());
    for (name, value) in vars {
        command = command.env(name, value);
    }
    let said = command.run().code(2).stderr;
    assert!(said.contains(" is not supported yet: "), "{said}");
    assert!(!site.src("ours").exists());
    said
}

/// The module is refused, in these words, while its folder has this path.
#[track_caller]
fn refused_when_called(site: &Site, folder: &Path, words: &str) {
    fs::rename(site.path("src"), folder).unwrap();
    let command = site.gofarm(&["submit", "-o", "ours"]).folder(folder);
    let said = command.run().code(2).stderr;
    assert!(said.contains(words), "{said}");
    fs::rename(folder, site.path("src")).unwrap();
}

#[test]
fn tool_flags_that_name_files() {
    let site = Site::new().module(&[("main.go", MAIN)]);
    let file = site.path("file").display().to_string();
    for (flag, name) in [
        ("-gcflags", "-cpuprofile"),
        ("-gcflags", "-memprofile"),
        ("-gcflags", "-blockprofile"),
        ("-gcflags", "-mutexprofile"),
        ("-gcflags", "-traceprofile"),
        ("-gcflags", "-bench"),
        ("-gcflags", "-asmhdr"),
        ("-gcflags", "-linkobj"),
        ("-gcflags", "-o"),
        ("-gcflags", "-buildid"),
        ("-gcflags", "-pgoprofile"),
        ("-gcflags", "-embedcfg"),
        ("-gcflags", "-d=dumpinlfuncprops"),
        ("-asmflags", "-o"),
        ("-ldflags", "-o"),
        ("-ldflags", "-cpuprofile"),
        ("-ldflags", "-memprofile"),
        ("-ldflags", "-benchmarkprofile"),
        ("-ldflags", "-capturehostobjs"),
        ("-ldflags", "-tmpdir"),
        ("-ldflags", "-fipso"),
        ("-ldflags", "-extar"),
    ] {
        let word = format!("{name}={file}");
        let said = refused(&site, &[], &[&format!("{flag}={word}")]);
        assert!(said.contains(&word), "{said}");
    }
    for flag in [
        "-gcflags=-json=0,/x",
        "-gcflags=-V=full",
        "-gcflags=-pgoprofile=",
        "-gcflags=-d=ssa/build/dump=main",
        "-ldflags=-V=full",
        "-ldflags=-s -w -o /x",
        "-asmflags=-gensymabis",
    ] {
        refused(&site, &[], &[flag]);
    }
    // Of the C linker.
    let linkers = ["-Wl,-Map,/x", "-Wl,-Map=/x", "-Wl,--dependency-file=/x"];
    for word in linkers {
        let flag = format!("-ldflags=-linkmode=external -extldflags={word}");
        refused(&site, &[], &[&flag]);
    }
    refused(&site, &[("GOFLAGS", "-ldflags=-cpuprofile=/x")], &[]);
    // These name none.
    built_by_both(
        &site,
        &[],
        &["-ldflags=-s -w -buildid=", "-gcflags=-N -d=checkptr=0"],
    );
}

#[test]
fn settings_of_godebug_with_which_go_talks() {
    let site = Site::new().module(&[("main.go", MAIN)]);
    for setting in [
        "gctrace=1",
        "inittrace=1",
        "schedtrace=1000",
        "gocachehash=1",
    ] {
        let said = refused(&site, &[("GODEBUG", setting)], &[]);
        assert!(said.contains(setting), "{said}");
    }
    // Of nobody.
    built_by_both(&site, &[("GODEBUG", "nosuch=1")], &[]);
}

/// Once a program had the folder of an action in it, in the place of this text.
#[test]
fn the_word_for_the_folder_of_the_go_command() {
    let c = "package main\n\n// #define S(x) #x\n// #define T(x) S(x)\n// static const char *f() { return T(X); }\n// #cgo CFLAGS: -DX=$WORK/b001\nimport \"C\"\n\nfunc main() { println(C.GoString(C.f())) }\n";
    let site = Site::new().module(&[("main.go", c)]);
    refused(&site, &[], &[]);
    site.write("main.go", MAIN);
    for flag in [
        "-gcflags=-d=$WORK",
        "-ldflags=-X main.v=$WORK/b001",
        "-asmflags=-D=X=$WORK",
    ] {
        let said = refused(&site, &[], &[flag]);
        assert!(said.contains("$WORK"), "{said}");
    }
    let folder = site.path("$WORK/b001");
    fs::create_dir_all(folder.parent().unwrap()).unwrap();
    refused_when_called(&site, &folder, "rename it");
}

#[test]
fn names_that_are_no_utf_8() {
    let site = Site::new().module(&[("main.go", MAIN)]);
    let odd = |name: &[u8]| site.path("src").join(OsStr::from_bytes(name));
    fs::write(odd(b"x\xff.go"), "package main\n").unwrap();
    let said = refused(&site, &[], &[]);
    assert!(said.contains("no UTF-8"), "{said}");
    fs::remove_file(odd(b"x\xff.go")).unwrap();
    let folder = site.path("").join(OsStr::from_bytes(b"n\xff"));
    refused_when_called(&site, &folder, "no UTF-8");
}

#[test]
fn includes_that_lead_out_of_the_module() {
    let site = Site::new().module(&[
        ("main.go", "package main\n\nfunc f() int\n\nfunc main() { println(f()) }\n"),
        ("f.s", "#include \"../x.h\"\n#include \"textflag.h\"\n\nTEXT \u{b7}f(SB), NOSPLIT, $0-8\n\tRET\n"),
    ]);
    fs::write(site.path("x.h"), "#define V 7\n").unwrap();
    let said = refused(&site, &[], &[]);
    assert!(said.contains("including ../x.h"), "{said}");
    // One of the same name in a folder of -I is not what go finds.
    site.write("c/main.go", "package main\n\n// #cgo CFLAGS: -I${SRCDIR}/../i/i\n// #include \"../../x.h\"\nimport \"C\"\n\nfunc main() { println(C.V) }\n");
    site.write("x.h", "#define V 8\n");
    site.write("i/x.h", "#define V 9\n");
    let said = refused(&site, &[], &["./c"]);
    assert!(said.contains("including ../../x.h"), "{said}");
    site.replace("c/main.go", "../../x.h", "../x.h");
    // cgo gives gcc a file in TMPDIR, beside which go would find this one.
    fs::remove_file(site.path("x.h")).unwrap();
    built_by_both(&site, &[], &["./c"]);
}
