//! The same words and exit codes as `go build`, where both refuse.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::harness::{Site, Summary, built_by_both};

const MAIN: &str = "package main\n\nfunc main() { println(\"here\") }\n";

/// Both commands end with this exit code and say the same; gofarm may add lines of its own behind.
#[track_caller]
fn both_refuse(site: &Site, vars: &[(&str, &str)], args: &[&str], code: i32) -> String {
    let run = |command: fn(&Site, &[&str]) -> crate::harness::Invocation, first: &[&str]| {
        let all: Vec<&str> = first.iter().chain(args).copied().collect();
        let mut command = command(site, &all);
        for (name, value) in vars {
            command = command.env(name, value);
        }
        command.run().code(code).stderr
    };
    let theirs = run(Site::go, &["build", "-trimpath"]);
    let ours = run(Site::gofarm, &["submit"]);
    assert!(ours.starts_with(&theirs), "{ours}\n--- go:\n{theirs}");
    ours[theirs.len()..].to_owned()
}

#[test]
fn an_error_that_go_finds_while_it_builds() {
    let site = Site::cold().module(&[(
        "main.go",
        "//go:debug nosuch=1\npackage main\n\nfunc main() {}\n",
    )]);
    assert_eq!(both_refuse(&site, &[], &["-o", "out"], 1), "");
}

#[test]
fn an_output_that_is_no_object() {
    let site = Site::new().module(&[("main.go", MAIN)]);
    site.write("notes", "text\n");
    fs::create_dir_all(site.src("folder/m")).unwrap();
    assert_eq!(both_refuse(&site, &[], &["-o", "notes"], 1), "");
    assert_eq!(both_refuse(&site, &[], &["-o", "folder/"], 1), "");
    assert_eq!(fs::read_to_string(site.src("notes")).unwrap(), "text\n");
}

#[test]
fn an_output_below_what_is_no_folder() {
    let site = Site::new().module(&[("main.go", MAIN)]);
    site.write("file", "text\n");
    std::os::unix::fs::symlink("nowhere", site.src("link")).unwrap();
    let absolute = site.src("file/x").display().to_string();
    for output in [
        "file/x", "file/", "file/x/y", "file/x/", "./file/x", "link/x", &absolute,
    ] {
        assert_eq!(both_refuse(&site, &[], &["-o", output], 1), "", "{output}");
    }
}

#[test]
fn a_program_that_is_up_to_date_keeps_its_permissions() {
    let site = Site::new().module(&[("main.go", MAIN)]);
    site.submit(&["-o", "../out"]);
    let out = site.path("out");
    let mode = || fs::metadata(&out).unwrap().permissions().mode() & 0o777;
    let fresh = mode();
    fs::set_permissions(&out, fs::Permissions::from_mode(0o444)).unwrap();
    site.submit(&["-o", "../out"]);
    assert_eq!(mode(), 0o444);
    site.replace("main.go", "here", "there");
    site.submit(&["-o", "../out"]);
    assert_eq!(mode(), fresh);
}

#[test]
fn goflags_that_cannot_be_understood() {
    let site = Site::cold().module(&[("main.go", MAIN)]);
    for (goflags, code) in [
        ("x", 1),
        ("-nosuch", 1),
        ("'-x", 1),
        ("-tags", 2),
        ("-race=x", 2),
        ("-gcflags=x", 2),
        ("-buildvcs=maybe", 2),
        ("-mod=bad", 1),
    ] {
        assert_eq!(
            both_refuse(&site, &[("GOFLAGS", goflags)], &["-o", "out"], code),
            "",
            "{goflags}"
        );
    }
}

#[test]
fn flags_of_go_env_in_goflags_take_nothing_from_the_users_settings() {
    let site = Site::new().module(&[("main.go", MAIN)]);
    let settings = site.path("settings").display().to_string();
    for flag in ["-u", "-w", "-changed", "-u=x"] {
        for in_file in [false, true] {
            let goflags = ["-mod=mod", flag][usize::from(in_file)];
            let text = format!("GOFLAGS={goflags}\nGOPROXY=off\n");
            std::fs::write(&settings, &text).unwrap();
            for command in ["submit", "verify"] {
                if command == "verify" && flag != "-u" {
                    continue;
                }
                let ours = site.gofarm(&[command, "."]).env("GOENV", &settings);
                match in_file {
                    true => ours.run().ok(),
                    false => ours.env("GOFLAGS", flag).run().ok(),
                };
                assert_eq!(std::fs::read_to_string(&settings).unwrap(), text, "{flag}");
            }
        }
    }
}

#[test]
fn a_plan_that_is_only_shown_has_a_summary_too() {
    let site = Site::cold().module(&[("main.go", MAIN)]);
    let file = site.path("summary.json");
    let flag = format!("--summary-json={}", file.display());
    site.gofarm(&["submit", "-n", &flag]).run().ok();
    let summary = Summary::read(&file);
    assert_eq!(
        (summary.result.as_str(), summary.actions.total),
        ("succeeded", 0)
    );
    site.write("main.go", "package main\n\nimport \"no/such\"\n");
    site.gofarm(&["submit", "-n", &flag]).run().code(1);
    assert_eq!(Summary::read(&file).result, "failed");
}

#[test]
fn flags_of_pkg_config_are_those_that_go_allows() {
    let site = Site::new();
    // go does not look at the flags of what it has compiled, so this is another program each time.
    let main = format!(
        "package main\n\n// #cgo pkg-config: own\nimport \"C\"\n\nfunc main() {{ println(C.VALUE, {:?}) }}\n",
        site.path("")
    );
    let site = site.module(&[("main.go", &main)]);
    let path = site.src("pc").display().to_string();
    let say = |cflags: &str, libs: &str| {
        let text = format!(
            "Name: own\nDescription: x\nVersion: 1\nCflags: -DVALUE=1 {cflags}\nLibs: {libs}\n"
        );
        site.write("pc/own.pc", &text);
    };
    let place = ("PKG_CONFIG_PATH", path.as_str());
    for (cflags, libs) in [
        ("-fplugin=x.so", "-lm"),
        ("-I/x", "-Wl,--plugin=x.so"),
        ("-fplugin=x.so", "-Wl,--plugin=x.so"),
        ("-I", ""),
        ("@file", ""),
    ] {
        say(cflags, libs);
        assert_eq!(both_refuse(&site, &[place], &["-o", "out"], 1), "");
    }
    say("-I/x", "-lm");
    for variable in ["CGO_CFLAGS_ALLOW", "CGO_LDFLAGS_DISALLOW"] {
        assert_eq!(
            both_refuse(&site, &[place, (variable, "(")], &["-o", "out"], 1),
            ""
        );
    }
    // While a plan is kept, too.
    say("-fno-ident", "-lm");
    let allowed = [place, ("CGO_CFLAGS_ALLOW", "-fno-id.*")];
    for _ in 0..2 {
        built_by_both(&site, &allowed, &[]);
    }
    site.replace("main.go", "C.VALUE", "C.VALUE + 1");
    assert_eq!(both_refuse(&site, &[place], &["-o", "out"], 1), "");
    let forbidden = [allowed[0], allowed[1], ("CGO_LDFLAGS_DISALLOW", "-lm")];
    assert_eq!(both_refuse(&site, &forbidden, &["-o", "out"], 1), "");
    say("-fno-ident -fplugin=x.so", "-lm");
    assert_eq!(both_refuse(&site, &allowed, &["-o", "out"], 1), "");
}

#[test]
fn the_quotes_of_a_c_compiler_are_those_of_the_locale() {
    let c = "int f(void) { int unused; return undeclared; }\n";
    for locale in ["C", "C.UTF-8"] {
        let site = Site::new().module(&[
            (
                "main.go",
                "package main\n\n// int f(void);\nimport \"C\"\n\nfunc main() { C.f() }\n",
            ),
            ("f.c", c),
        ]);
        both_refuse(&site, &[("LC_ALL", locale)], &["-o", "out"], 1);
    }
}

#[test]
fn settings_with_which_no_go_works_while_a_plan_is_kept() {
    let site = Site::new().module(&[("main.go", MAIN)]);
    for _ in 0..2 {
        site.submit(&["-o", "out"]);
    }
    assert!(site.submit(&["-o", "out"]).plan_reused);
    let file = site.src("main.go").display().to_string();
    for (name, value, code) in [
        ("GOARCH", "bad", 2),
        ("GOOS", "bad", 2),
        ("GOEXPERIMENT", "bad", 2),
        ("GOFIPS140", "bad", 2),
        ("GOPATH", "relative", 2),
        ("GOROOT", "/nowhere", 2),
        ("GOCACHE", "off", 1),
        ("GOCACHE", "relative", 1),
        ("GOCACHE", &file, 1),
        ("GOCACHEPROG", "/nowhere", 1),
        ("GOTOOLCHAIN", "bad", 1),
    ] {
        let vars = [(name, value)];
        assert_eq!(
            both_refuse(&site, &vars, &["-o", "out"], code),
            "",
            "{name}={value}"
        );
    }
    // The words of a runtime that does not start have addresses in them, and those of a folder that is not there a reason more.
    let memory = site
        .gofarm(&["submit", "-o", "out"])
        .env("GOMEMLIMIT", "bad")
        .run()
        .code(2);
    assert!(
        memory
            .stderr
            .starts_with("GOMEMLIMIT=bad\nfatal error: malformed"),
        "{}",
        memory.stderr
    );
    let folder = site
        .gofarm(&["submit", "-o", "out"])
        .env("GOTMPDIR", "/nowhere")
        .run()
        .code(3);
    let theirs = site
        .go(&["build"])
        .env("GOTMPDIR", "/nowhere")
        .run()
        .code(1)
        .stderr;
    assert!(folder.stderr.starts_with(&theirs), "{}", folder.stderr);
    assert!(site.submit(&["-o", "out"]).plan_reused);
}

#[test]
fn a_folder_in_the_place_of_a_profile() {
    let site = Site::new().module(&[("main.go", MAIN), ("default.pgo/x", "")]);
    assert_eq!(both_refuse(&site, &[], &["-o", "out"], 1), "");
    assert_eq!(
        both_refuse(&site, &[], &["-pgo=default.pgo", "-o", "out"], 1),
        ""
    );
}
