//! The programs of a C compiler: those that nobody can know are refused.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::harness::{Site, built_by_both};

const PROGRAM: &str = "package main\n\n// #ifndef V\n// #define V 0\n// #endif\n// static int f(void) { return V; }\nimport \"C\"\n\n\
                       func main() { print(int(C.f())) }\n";

fn site() -> Site {
    Site::new().module(&[("main.go", PROGRAM)])
}

/// What gofarm says when it does not build.
#[track_caller]
fn refused(site: &Site, vars: &[(&str, &str)], flags: &[&str]) -> String {
    let args = [&["submit", "-o", "ours"], flags].concat();
    let mut command = site.gofarm(&args);
    for (name, value) in vars {
        command = command.env(name, value);
    }
    let finished = command.run();
    assert!(!finished.status.success(), "built with {vars:?} {flags:?}");
    finished.stderr
}

/// A script in the source tree.
fn script(site: &Site, name: &str, text: &str) -> String {
    site.write(name, &format!("#!/bin/sh\n{text}\n"));
    let path = site.src(name);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

#[test]
fn a_compiler_that_is_a_script_is_refused_until_it_is_declared() {
    // Not below /tmp, of which an action has its own.
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let site = site();
    let made = script(&site, "cc", "exec gcc $MYF \"$@\"");
    let compiler = folder.path().join("cc").display().to_string();
    fs::rename(made, &compiler).unwrap();
    let vars = [("CC", compiler.as_str()), ("MYF", "-DV=7")];
    let said = refused(&site, &vars, &[]);
    assert!(said.contains("it is a script"), "{said}");
    let line = format!("compilers = [\"{compiler}\"]");
    assert!(said.contains(&format!("gofarm.toml:\n\t{line}")), "{said}");
    site.write("gofarm.toml", &format!("{line}\n"));
    built_by_both(&site, &[("CC", compiler.as_str())], &[]);
    site.write("gofarm.toml", "");
    refused(&site, &vars, &[]);
}

#[test]
fn a_program_that_starts_the_compiler_is_refused() {
    for compiler in ["env gcc", "nice gcc", "sh -c 'exec gcc \"$@\"' gcc"] {
        let said = refused(&site(), &[("CC", compiler)], &[]);
        assert!(
            said.contains("set CC and CXX to the compiler alone"),
            "{said}"
        );
    }
}

/// Each group of flags that gcc and clang have for it.
#[test]
fn programs_that_a_flag_leads_to_are_refused() {
    let site = site();
    script(
        &site,
        "b1/cc1",
        "exec $(gcc -print-prog-name=cc1) -DV=71 \"$@\"",
    );
    let here = site.src("b1").display().to_string();
    for (name, value) in [
        ("CGO_CFLAGS", format!("-B{here}/")),
        ("CGO_CFLAGS", format!("-B {here}")),
        ("CGO_LDFLAGS", format!("-B{here}/")),
        ("CC", format!("gcc -B{here}/")),
        ("CC", format!("gcc --prefix={here}/")),
        ("CC", format!("gcc -specs={here}/specs")),
        ("CGO_CFLAGS", format!("-fplugin={here}/p.so")),
        ("CGO_CFLAGS", format!("-wrapper {here}/cc1")),
        ("CGO_LDFLAGS", format!("-fuse-ld={here}/ld")),
        ("CGO_LDFLAGS", format!("-Wl,-plugin,{here}/p.so")),
        ("CGO_CFLAGS", format!("--config={here}/c.cfg")),
        ("CGO_CFLAGS", format!("--gcc-toolchain={here}")),
        ("CGO_CFLAGS", format!("-fprofile-use={here}")),
    ] {
        let said = refused(&site, &[(name, &value)], &[]);
        assert!(
            said.contains("is not supported yet"),
            "{name}={value}: {said}"
        );
        assert!(
            said.contains("the C compiler flag -"),
            "{name}={value}: {said}"
        );
    }
}

#[test]
fn variables_that_lead_a_compiler_elsewhere_are_refused() {
    let site = site();
    for name in [
        "COMPILER_PATH",
        "GCC_EXEC_PREFIX",
        "CCACHE_COMPILER",
        "LDEMULATION",
        "GNUTARGET",
    ] {
        let said = refused(&site, &[(name, "/nowhere/")], &[]);
        assert!(
            said.contains(&format!("the environment variable {name}")),
            "{said}"
        );
    }
}

#[test]
fn a_build_id_that_the_c_linker_makes_of_the_content_is_refused() {
    let site = site();
    for id in [
        "--build-id",
        "--build-id=sha1",
        "--build-id=md5",
        "--build-id=uuid",
    ] {
        let external = format!("-ldflags=-linkmode=external -extldflags=-Wl,{id}");
        let said = refused(&site, &[], &[&external]);
        assert!(said.contains(&format!("the linker flag {id}")), "{said}");
        let flags = format!("-Wl,{id}");
        let said = refused(&site, &[("CGO_LDFLAGS", &flags)], &[]);
        assert!(said.contains(&format!("the linker flag {id}")), "{said}");
    }
    built_by_both(
        &site,
        &[],
        &["-ldflags=-linkmode=external -B=0xABCDEF0123456789"],
    );
    built_by_both(&site, &[], &["-ldflags=-linkmode=external -B=none"]);
    built_by_both(
        &site,
        &[],
        &["-ldflags=-linkmode=external -extldflags=-Wl,--build-id=0x1234"],
    );
}

/// cmd/link asks the first word of CC alone whether it can be given a build ID.
#[test]
fn a_build_id_of_the_c_linkers_own_is_noticed_where_it_comes_from_elsewhere() {
    let site = site();
    site.write("gofarm.toml", "compilers = [\"/usr/bin/env\"]\n");
    let vars = [("CC", "env gcc")];
    let said = refused(&site, &vars, &["-ldflags=-linkmode=external"]);
    assert!(said.contains("set it to the compiler alone"), "{said}");
}
