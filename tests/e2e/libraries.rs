//! Libraries for C, modules that come from a vendor folder or from the module cache, and files that stand for others.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::harness::{Site, built_by_both, publish, same};

const EXPORTS: &str = "package main\n\n// typedef int num;\nimport \"C\"\n\n//export Twice\nfunc Twice(x C.num) C.num { return 2 * x }\n\nfunc main() {}\n";

/// Builds a library both ways, outside of the package's folder: what lies in that is an input.
#[track_caller]
fn library(mode: &str, name: &str) -> Site {
    let site = Site::new().module(&[("main.go", EXPORTS)]);
    for folder in ["ours", "theirs"] {
        fs::create_dir(site.path(folder)).unwrap();
    }
    let ours = site.path("ours").join(name);
    let theirs = site.path("theirs").join(name);
    site.submit(&[mode, "-o", &ours.to_string_lossy()]);
    let output = theirs.to_string_lossy();
    site.go(&["build", "-trimpath", mode, "-o", &output])
        .run()
        .ok();
    same(&ours, &theirs);
    let (header, its) = (ours.with_extension("h"), theirs.with_extension("h"));
    same(&header, &its);
    for (ours, theirs) in [(&ours, &theirs), (&header, &its)] {
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(ours), mode(theirs), "{}", ours.display());
    }
    site
}

#[test]
fn a_static_library_for_c() {
    let site = library("-buildmode=c-archive", "libm.a");
    site.submit(&["-buildmode=c-archive"]);
    assert!(site.src("bin/m.a").is_file() && site.src("bin/m.h").is_file());
}

#[test]
fn a_shared_library_for_c_is_used_from_c() {
    let site = library("-buildmode=c-shared", "libm.so");
    site.write("use/use.c", "#include <stdio.h>\n#include \"libm.h\"\nint main(void) { printf(\"%d\\n\", Twice(21)); return 0; }\n");
    let ours = site.path("ours").display().to_string();
    let rpath = format!("-Wl,-rpath,{ours}");
    let args = [
        "-o",
        "use/use",
        "use/use.c",
        "-I",
        &ours,
        "-L",
        &ours,
        "-lm",
        &rpath,
        "-Wl,--no-as-needed",
        "-l:libm.so",
    ];
    site.command(Path::new("gcc"), &args).run().ok();
    let finished = site.command(&site.src("use/use"), &[]).run().ok();
    assert_eq!(finished.stdout, "42\n");
}

#[test]
fn vendored_modules_are_not_compiled_again() {
    let site = Site::new();
    let proxy = site.path("proxy");
    let unique = site.path("").display().to_string();
    let text = format!(
        "package dep\n\nimport _ \"embed\"\n\n//go:embed t.txt\nvar text string\n\nconst unique = {unique:?}\n\nfunc Text() string {{ return text + unique[:0] + asm() }}\n\nfunc asm() string {{ if nothing() == 0 {{ return \"\" }}; return \"?\" }}\n\nfunc nothing() int\n"
    );
    publish(
        &proxy,
        "example.com/dep",
        "v1.2.3",
        &[
            ("dep.go", &text),
            ("t.txt", "there"),
            (
                "asm_amd64.s",
                "#include \"textflag.h\"\n#include \"h.h\"\n\nTEXT ·nothing(SB), NOSPLIT, $0-8\n\tMOVQ $ZERO, ret+0(FP)\n\tRET\n",
            ),
            (
                "asm_arm64.s",
                "#include \"textflag.h\"\n#include \"h.h\"\n\nTEXT ·nothing(SB), NOSPLIT, $0-8\n\tMOVD $ZERO, R0\n\tMOVD R0, ret+0(FP)\n\tRET\n",
            ),
            ("h.h", "#define ZERO 0\n"),
            (
                "sub/sub.go",
                &format!("package sub\n\nconst Unique = {unique:?}\n"),
            ),
        ],
    );
    publish(
        &proxy,
        "example.com/withc",
        "v1.0.0",
        &[(
            "c.go",
            "package withc\n\n// static const char *where(void) { return __FILE__; }\nimport \"C\"\n\nfunc Where() string { return C.GoString(C.where()) }\n",
        )],
    );
    let site = site.module(&[(
        "main.go",
        "package main\n\nimport (\n\t\"example.com/dep\"\n\t\"example.com/dep/sub\"\n\t\"example.com/withc\"\n)\n\nfunc main() { println(dep.Text(), len(sub.Unique) > 0, withc.Where()) }\n",
    )]);
    let proxy = format!("file://{}", proxy.display());
    let cache = site.path("modcache").display().to_string();
    let vars = [
        ("GOPROXY", proxy.as_str()),
        ("GOMODCACHE", &cache),
        ("GONOSUMDB", "*"),
        ("GOFLAGS", "-modcacherw"),
    ];
    let run = |command: fn(&Site, &[&str]) -> crate::harness::Invocation, args: &[&str]| {
        let mut command = command(&site, args);
        for (name, value) in vars {
            command = command.env(name, value);
        }
        command.run().ok()
    };
    let both = || {
        let summary = site.path("summary.json");
        let flag = format!("--summary-json={}", summary.display());
        run(Site::gofarm, &["submit", &flag, "-o", "../ours"]);
        run(Site::go, &["build", "-trimpath", "-o", "../theirs"]);
        same(&site.path("ours"), &site.path("theirs"));
        crate::harness::Summary::read(&summary)
    };
    run(
        Site::go,
        &["get", "example.com/dep@v1.2.3", "example.com/withc@v1.0.0"],
    );
    site.age();
    both();
    run(Site::go, &["mod", "vendor"]);
    // go takes an object of C from its cache, although its sources have another name now; not when they have changed.
    let withc = "vendor/example.com/withc/c.go";
    let text = fs::read_to_string(site.src(withc)).unwrap();
    site.write(withc, &format!("{text}\n// Changed by {unique}.\n"));
    site.age();
    // The package with C, whose sources cmd/go calls by another name.
    assert_eq!(both().executed("compile"), 1);

    // What is wrong in a vendored package is told where it is.
    site.write(
        "vendor/example.com/dep/sub/sub.go",
        "package sub\n\nconst Unique = 1 + \"\"\n",
    );
    let command = |command: fn(&Site, &[&str]) -> crate::harness::Invocation, args: &[&str]| {
        let mut command = command(&site, args);
        for (name, value) in vars {
            command = command.env(name, value);
        }
        command.run().code(1).stderr
    };
    let theirs = command(Site::go, &["build", "-trimpath", "-o", "../theirs"]);
    let ours = command(Site::gofarm, &["submit", "-o", "../ours"]);
    assert!(ours.starts_with(&theirs), "{ours}\n{theirs}");
}

#[test]
fn files_that_stand_for_others() {
    let site = Site::new().module(&[
        ("main.go", "package main\n\nfunc main() { println(\"old\") }\n"),
        ("alt/main.go", "package main\n\n// int f(void);\nimport \"C\"\nimport _ \"embed\"\n\n//go:embed t.txt\nvar t string\n\nfunc main() { println(t, C.f(), V, Word) }\n"),
        ("plain.go", "package main\n\nconst Word = \"old\"\n"),
        ("alt/t", "new"),
        ("alt/f.c", "#include \"h.h\"\nint f(void) { return H; }\n"),
        ("alt/h", "#define H 3\n"),
    ]);
    fs::write(site.path("v.go"), "package main\n\nconst V = 7\n").unwrap();
    let json = format!(
        "{{\"Replace\": {{\"main.go\": \"alt/main.go\", \"t.txt\": \"alt/t\", \"f.c\": \"alt/f.c\", \"h.h\": \"alt/h\", \"v.go\": \"{}\"}}}}",
        site.path("v.go").display()
    );
    site.write("o.json", &json);
    site.age();
    let works = |text: &str| {
        for vars in [&[][..], &[("GOFLAGS", "-overlay=o.json")]] {
            let args: &[&str] = if vars.is_empty() {
                &["-overlay=o.json"]
            } else {
                &[]
            };
            let program = built_by_both(&site, vars, args);
            assert_eq!(site.command(&program, &[]).run().ok().stderr, text);
        }
    };
    works("new 3 7 old\n");
    site.write("alt/h", "#define H 44\n");
    fs::write(site.path("v.go"), "package main\n\nconst V = 8\n").unwrap();
    works("new 44 8 old\n");
}
