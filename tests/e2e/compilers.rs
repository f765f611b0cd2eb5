//! C compilers that are not where the system has its own: what a required sandbox shows of them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::harness::{Invocation, Site};

/// A folder that is not below /tmp, which a sandbox has of its own.
struct Elsewhere(tempfile::TempDir);

impl Elsewhere {
    fn new() -> Elsewhere {
        Elsewhere(tempfile::tempdir_in("/var/tmp").unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn script(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

const MODULE: [(&str, &str); 1] = [(
    "lib/lib.go",
    "package lib\n\n// int f(void) { return 7; }\nimport \"C\"\n\nfunc F() int { return int(C.f()) }\n",
)];

/// Scripts are compilers where they are declared.
fn declare(site: &Site, programs: &[String]) {
    site.write("gofarm.toml", &format!("compilers = {programs:?}\n"));
}

fn in_front(folder: &Path) -> String {
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
}

/// Of the packages alone, in a sandbox, from nothing.
fn build(site: &Site) -> Invocation {
    site.gofarm(&["submit", "--sandbox=required", "./lib"])
}

#[test]
fn a_wrapper_or_a_link_in_a_folder_of_path_leaves_the_sandbox_on() {
    let site = Site::new().module(&MODULE);
    let place = Elsewhere::new();
    place.script("t/gcc", "exec /usr/bin/gcc \"$@\"");
    place.script("t/mycc", "exec /usr/bin/gcc \"$@\"");
    fs::create_dir(place.path("l")).unwrap();
    symlink("/usr/bin/gcc", place.path("l/gcc")).unwrap();
    symlink("t", place.path("also")).unwrap();
    let env = "/usr/bin/env".to_owned();
    declare(&site, &[place.text("t/gcc"), place.text("t/mycc"), env]);
    build(&site)
        .env("PATH", &in_front(&place.path("t")))
        .run()
        .ok();
    build(&site)
        .env("PATH", &in_front(&place.path("l")))
        .env("CC", "gcc")
        .run()
        .ok();
    for cc in ["t/../t/mycc", "also/mycc", "also/../t/gcc"] {
        let build = build(&site).env("PATH", &in_front(&place.path("t")));
        build.env("CC", &place.text(cc)).run().ok();
    }
    let build = build(&site).env("PATH", &in_front(&place.path("t")));
    build.env("CC", "env mycc").run().ok();
}

#[test]
fn a_compiler_in_the_users_home_does_not_show_the_home() {
    let site = Site::new().module(&MODULE);
    let place = Elsewhere::new();
    let spy = format!(
        "for secret in {0}/home/.ssh/key {0}/homelink/.ssh/key; do test ! -e $secret || echo \"seen: $secret\" >&2; done\nexec /usr/bin/gcc \"$@\"",
        place.text("")
    );
    place.script("home/bin/mycc", &spy);
    declare(&site, &[place.text("home/bin/mycc")]);
    fs::create_dir_all(place.path("home/lib")).unwrap();
    fs::create_dir_all(place.path("home/.ssh")).unwrap();
    fs::write(place.path("home/.ssh/key"), "secret").unwrap();
    symlink("home", place.path("homelink")).unwrap();
    for home in ["homelink", "lib/../home"] {
        fs::create_dir_all(place.path("lib")).unwrap();
        let built = build(&site)
            .env("HOME", &place.text(home))
            .env("CC", &place.text("homelink/bin/mycc"))
            .run()
            .ok();
        assert!(!built.stderr.contains("seen"), "{}", built.stderr);
        // Made anew the next time.
        fs::write(
            place.path("home/bin/mycc"),
            format!("#!/bin/sh\n# {home}\n{spy}\n"),
        )
        .unwrap();
    }
}

#[test]
fn a_fortran_compiler_is_shown_by_path_and_by_name() {
    let site = Site::new().module(&[
        ("lib/lib.go", "package lib\n\n// int sum(void);\nimport \"C\"\n\nfunc F() int { return int(C.sum()) }\n"),
        ("lib/sum.f", "int sum(void) { return 11; }\n"),
    ]);
    let place = Elsewhere::new();
    place.script("t/myfc", "exec /usr/bin/gcc -x c \"$@\"");
    declare(&site, &[place.text("t/myfc")]);
    build(&site).env("FC", &place.text("t/myfc")).run().ok();
    let build = build(&site).env("PATH", &in_front(&place.path("t")));
    build.env("FC", "myfc").run().ok();
}

#[test]
fn a_folder_that_a_compiler_is_to_search_and_does_not_see_is_named() {
    let site = Site::new().module(&[(
        "lib/lib.go",
        "package lib\n\n// #include \"elsewhere.h\"\nimport \"C\"\n\nvar V = C.V\n",
    )]);
    let place = Elsewhere::new();
    fs::create_dir(place.path("inc")).unwrap();
    fs::write(place.path("inc/elsewhere.h"), "#define V 1\n").unwrap();
    for flag in ["-isystem ", "-I"] {
        let cc = format!("gcc {flag}{}", place.text("inc"));
        let refused = build(&site).env("CC", &cc).run().code(1).stderr;
        assert!(refused.contains("gofarm: the action needs "), "{refused}");
        assert!(refused.contains("/inc, which is not among"), "{refused}");
    }
    build(&site).env("CC", &place.text("inc")).run().code(3);
}
