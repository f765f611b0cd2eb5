//! Files that a C compiler or linker reads and no include line names.

use std::path::Path;

use crate::harness::{Site, built_by_both};

const C: &str = "int xval(void) { return 42; }\n";

/// Package main with this preamble, which declares `int xval(void)`. It prints its value.
fn main(preamble: &str) -> String {
    format!(
        "package main\n\n/*\n{preamble}\nint xval(void);\n*/\nimport \"C\"\n\nfunc main() {{ println(C.xval()) }}\n"
    )
}

/// Changes the main package, so that go compiles it again: it does not look at included bytes, nor at headers elsewhere.
fn changed(site: &Site) {
    let text = std::fs::read_to_string(site.src("main.go")).unwrap();
    site.write("main.go", &format!("{text}\n// Changed.\n"));
}

/// Runs a command line, split at blanks, in the source tree.
#[track_caller]
fn run(site: &Site, line: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    site.command(Path::new(words[0]), &words[1..]).run().ok();
}

/// A static library `lib/libx.a` of a function with this value, in a folder of the source tree.
fn archive(site: &Site, folder: &str, value: u32) {
    site.write(
        &format!("{folder}/src/x.c"),
        &C.replace("42", &value.to_string()),
    );
    run(site, &format!("gcc -c -o {folder}/x.o {folder}/src/x.c"));
    run(site, &format!("ar rcs {folder}/libx.a {folder}/x.o"));
}

fn shared(site: &Site, folder: &str, soname: &str) {
    site.write(&format!("{folder}/src/x.c"), C);
    run(
        site,
        &format!("gcc -shared -fPIC {soname} -o {folder}/libx.so {folder}/src/x.c"),
    );
}

fn module(preamble: &str) -> Site {
    Site::new().module(&[("main.go", &main(preamble))])
}

/// The program is go build's, and prints this.
#[track_caller]
fn prints(site: &Site, vars: &[(&str, &str)], args: &[&str], text: &str) {
    let program = built_by_both(site, vars, args);
    assert_eq!(site.command(&program, &[]).run().ok().stderr, text);
}

#[test]
fn a_static_library_of_the_module() {
    for flags in [
        "#cgo LDFLAGS: ${SRCDIR}/lib/libx.a",
        "#cgo LDFLAGS: -L${SRCDIR}/lib -lx",
        "#cgo LDFLAGS: -L${SRCDIR}/lib -l:libx.a",
        "#cgo LDFLAGS: -Llib -lx",
        "#cgo LDFLAGS: ./lib/libx.a",
    ] {
        let site = module(flags);
        archive(&site, "lib", 42);
        site.age();
        prints(&site, &[], &[], "42\n");
    }
}

#[test]
fn of_two_libraries_the_one_in_the_first_folder_is_taken() {
    let site = module("#cgo LDFLAGS: -L${SRCDIR}/one -L${SRCDIR}/two -lx");
    archive(&site, "two", 2);
    site.age();
    prints(&site, &[], &[], "2\n");
    std::fs::create_dir(site.src("one")).unwrap();
    archive(&site, "one", 1);
    site.age();
    prints(&site, &[], &["-gcflags=-l"], "1\n");
}

#[test]
fn a_changed_library_is_linked_again() {
    let site = module("#cgo LDFLAGS: ${SRCDIR}/lib/libx.a");
    archive(&site, "lib", 7);
    site.age();
    prints(&site, &[], &[], "7\n");
    archive(&site, "lib", 8);
    prints(&site, &[], &[], "8\n");
}

#[test]
fn a_shared_library_and_the_path_where_it_is_found_at_run_time() {
    for rpath in ["-Wl,-rpath,${SRCDIR}/lib", "-Wl,-rpath=${SRCDIR}/lib"] {
        let site = module(&format!("#cgo LDFLAGS: -L${{SRCDIR}}/lib -lx {rpath}"));
        std::fs::create_dir(site.src("lib")).unwrap();
        shared(&site, "lib", "-Wl,-soname,libx.so");
        site.age();
        prints(&site, &[], &[], "42\n");
    }
}

#[test]
fn a_shared_library_that_needs_another() {
    let site = module("#cgo LDFLAGS: -L${SRCDIR}/lib -lx -Wl,-rpath,${SRCDIR}/lib");
    site.write("lib/src/y.c", "int yval(void) { return 5; }\n");
    site.write(
        "lib/src/x.c",
        "int yval(void);\nint xval(void) { return yval(); }\n",
    );
    run(
        &site,
        "gcc -shared -fPIC -Wl,-soname,liby.so -o lib/liby.so lib/src/y.c",
    );
    let lib = site.src("lib").display().to_string();
    run(
        &site,
        &format!(
            "gcc -shared -fPIC -Wl,-soname,libx.so -o lib/libx.so lib/src/x.c -Llib -ly -Wl,-rpath,{lib}"
        ),
    );
    site.age();
    prints(&site, &[], &[], "5\n");
}

#[test]
fn a_shared_library_that_is_recorded_by_its_path_is_refused() {
    let site = module("#cgo LDFLAGS: ${SRCDIR}/lib/libx.so");
    std::fs::create_dir(site.src("lib")).unwrap();
    shared(&site, "lib", "-O1");
    let finished = site.gofarm(&["submit"]).run().code(2);
    assert!(
        finished.stderr.contains("has no SONAME"),
        "{}",
        finished.stderr
    );
}

#[test]
fn a_library_folder_that_a_variable_names() {
    let site = Site::new();
    std::fs::create_dir(site.path("far")).unwrap();
    let site = site.module(&[("main.go", &main(""))]);
    archive(&site, "../far", 9);
    let flags = format!("-L{} -lx", site.path("far").display());
    prints(&site, &[("CGO_LDFLAGS", &flags)], &[], "9\n");
    std::fs::write(site.path("far/flags"), format!("{flags}\n")).unwrap();
    let flags = format!("@{}", site.path("far/flags").display());
    let finished = site
        .gofarm(&["submit"])
        .env("CGO_LDFLAGS", &flags)
        .run()
        .code(2);
    assert!(
        finished.stderr.contains("a file of further flags"),
        "{}",
        finished.stderr
    );
}

#[test]
fn a_linker_script_in_the_place_of_a_library() {
    let site = module("#cgo LDFLAGS: -L${SRCDIR}/lib -lz9");
    archive(&site, "lib", 3);
    site.write("lib/libz9.so", "/* GNU ld script */\nINPUT ( libx.a )\n");
    site.age();
    prints(&site, &[], &[], "3\n");
}

#[test]
fn a_version_script_for_the_external_linker() {
    let site = Site::new().module(&[("main.go", &main("static int xval(void) { return 1; }"))]);
    site.write("v.map", "{ global: main; local: *; };\n");
    site.age();
    for script in [site.src("v.map").display().to_string(), "v.map".to_owned()] {
        let flags =
            format!("-ldflags=-linkmode=external -extldflags=-Wl,--version-script={script}");
        prints(&site, &[], &[&flags], "1\n");
    }
}

#[test]
fn sources_of_c_without_modules() {
    let site = Site::new().module(&[
        (
            "gopath/src/named/main.go",
            "package main\n\n/*\n#include <stdio.h>\nint xval(void);\nstatic void file(void) { fputs(__FILE__ \"\\n\", stderr); }\n*/\nimport \"C\"\n\nfunc main() { C.file(); println(C.xval()) }\n",
        ),
        ("gopath/src/named/x.c", "#include <stdio.h>\nint xval(void) { fputs(__FILE__ \"\\n\", stderr); return 1; }\n"),
    ]);
    // Not with the folder for temporary files in it: go would give those the names of sources.
    let gopath = site.src("gopath").display().to_string();
    for (gopath, named) in [
        (gopath.clone(), "/_/GOPATH/src/named/main.go".to_owned()),
        (
            format!("{gopath}/other"),
            format!("/_/_{gopath}/src/named/main.go"),
        ),
    ] {
        let vars = [("GO111MODULE", "off"), ("GOPATH", &*gopath)];
        let program = built_by_both(&site, &vars, &["./gopath/src/named"]);
        let said = site.command(&program, &[]).run().ok().stderr;
        assert!(said.starts_with(&format!("{named}\n")), "{named}: {said}");
    }
}

#[test]
fn files_of_further_flags_for_the_external_linker() {
    let site = Site::new();
    std::fs::create_dir(site.path("far")).unwrap();
    let site = site.module(&[("main.go", &main("int xval(void);"))]);
    archive(&site, "../far", 4);
    let written = |flags: &str| std::fs::write(site.path("far/flags"), flags).unwrap();
    let far = site.path("far").display().to_string();
    written(&format!("-L'{far}'\n  \"-l\"x -Wl,--build-id=none\n"));
    site.age();
    for file in [format!("@{far}/flags"), "@../far/flags".to_owned()] {
        let flags = format!("'-ldflags=-linkmode=external \"-extldflags=-O1 {file} -g0\"'");
        prints(&site, &[("GOFLAGS", &flags)], &[], "4\n");
    }
    // What it says is a fact of the plan, and what it names an input.
    archive(&site, "../far", 5);
    let flags = format!("-ldflags=-linkmode=external -extldflags=@{far}/flags");
    prints(&site, &[], &[&flags], "5\n");
    archive(&site, "../far/deeper", 6);
    written(&format!("-L{far}/deeper -lx"));
    prints(&site, &[], &[&flags], "6\n");
    written(&format!("@{far}/flags"));
    let finished = site.gofarm(&["submit", &flags]).run().code(2);
    assert!(
        finished.stderr.contains("a file of further flags"),
        "{}",
        finished.stderr
    );
}

#[test]
fn a_c_compiler_with_flags_of_its_own_links_too() {
    let site = module("static int xval(void) { return 42 - LESS; }");
    let vars = [("CC", "gcc -DLESS=2 '-DMORE=a b'")];
    prints(&site, &vars, &[], "40\n");
    prints(&site, &vars, &["-ldflags=-linkmode=external"], "40\n");
    let other = "-ldflags=-linkmode=external '-extld=gcc -B/nowhere'";
    let finished = site
        .gofarm(&["submit", other])
        .env("CC", "gcc -DLESS=2")
        .run()
        .code(2);
    assert!(
        finished.stderr.contains("set CC to it"),
        "{}",
        finished.stderr
    );
}

#[test]
fn a_library_of_a_package_below() {
    let site = Site::new().module(&[
        ("main.go", "package main\n\nimport \"example.com/m/p\"\n\nfunc main() { println(p.X()) }\n"),
        (
            "p/p.go",
            "package p\n\n/*\n#cgo LDFLAGS: -L${SRCDIR}/lib -lx\nint xval(void);\n*/\nimport \"C\"\n\nfunc X() int { return int(C.xval()) }\n",
        ),
    ]);
    archive(&site, "p/lib", 11);
    site.age();
    prints(&site, &[], &[], "11\n");
    site.submit(&["-o", "ours.a", "./p"]);
    site.go(&["build", "-trimpath", "-o", "theirs.a", "./p"])
        .run()
        .ok();
    crate::harness::same(&site.src("ours.a"), &site.src("theirs.a"));
    // The library's place on this machine is in no key.
    let copy = site.copy_to("copy");
    assert_eq!(site.submit_in(&copy, &[]).actions.executed, 0);
    site.go(&["build", "-trimpath", "-o", "theirs", "."])
        .folder(&copy)
        .run()
        .ok();
    crate::harness::same(&copy.join("bin/m"), &copy.join("theirs"));
}

#[test]
fn without_a_sandbox_libraries_are_found_too() {
    let site = module("#cgo LDFLAGS: -L${SRCDIR}/lib -lx");
    archive(&site, "lib", 23);
    site.age();
    prints(&site, &[("GOFARM_SANDBOX", "off")], &["-a"], "23\n");
}

/// Without a sandbox the paths of an action have those of the cache folder in them, and flags are in lists that blanks split.
#[test]
fn a_blank_in_the_path_of_the_cache_folder_splits_no_flag() {
    let site = module("#cgo CFLAGS: -I${SRCDIR}/inc\n#cgo LDFLAGS: -L${SRCDIR}/lib -lx");
    archive(&site, "lib", 13);
    archive(&site, "../far", 13);
    site.write("v.map", "{ global: main; local: *; };\n");
    let far = site.path("far").display().to_string();
    std::fs::write(site.path("far/flags"), format!("-L{far}\n-lx\n")).unwrap();
    site.age();
    let cache = site.path("a cache folder").display().to_string();
    let vars = [("GOFARM_SANDBOX", "off"), ("GOFARM_CACHE_DIR", &*cache)];
    let external = |flags: &str| format!("-ldflags=-linkmode=external \"-extldflags={flags}\"");
    prints(&site, &vars, &[], "13\n");
    for flag in [
        external(&format!("-L{far} -Wl,--version-script=v.map -O1")),
        external(&format!("-g0 @{far}/flags")),
    ] {
        prints(&site, &vars, &[&flag], "13\n");
    }
    let further = [vars[0], vars[1], ("CGO_LDFLAGS", &*format!("-L{far} -lx"))];
    prints(&site, &further, &[], "13\n");
}

#[test]
fn bytes_that_the_assembler_takes_in() {
    let assembly = "\t.section .rodata\n\t.globl blob\nblob:\n\t.incbin \"blob.bin\"\n\t.section .note.GNU-stack,\"\",%progbits\n";
    let site = Site::new().module(&[
        (
            "main.go",
            &main("extern char blob[];\nstatic int xval(void) { return blob[0]; }"),
        ),
        ("blob.S", assembly),
        ("blob.bin", "A"),
    ]);
    prints(&site, &[], &[], "65\n");
    site.write("blob.bin", "B");
    changed(&site);
    prints(&site, &[], &[], "66\n");
}

#[test]
fn bytes_that_the_preamble_of_cgo_takes_in() {
    let text = main(
        "__asm__(\".section .rodata\\n.globl blob9\\nblob9: .incbin \\\"data/blob.bin\\\"\\n.text\\n\");\nextern char blob9[];\nstatic int xval(void) { return blob9[0]; }",
    );
    let site = Site::new().module(&[("main.go", &text), ("data/blob.bin", "C")]);
    // In a preamble that exports nothing it is compiled twice, so it must not define a symbol twice: in a C file once.
    site.write(
        "main.go",
        &main("extern char blob9[];\nstatic int xval(void) { return blob9[0]; }"),
    );
    site.write(
        "blob.c",
        "#define TAKE(name, file) __asm__(\".section .rodata\\n.globl \" #name \"\\n\" #name \": .incbin \\\"\" file \"\\\"\\n.text\\n\")\nTAKE(blob9, \"data/blob.bin\");\n",
    );
    site.age();
    prints(&site, &[], &[], "67\n");
}

#[test]
fn an_absolute_include() {
    let site = Site::new();
    std::fs::create_dir(site.path("far")).unwrap();
    std::fs::write(site.path("far/x.h"), "#include \"y.h\"\n").unwrap();
    std::fs::write(
        site.path("far/y.h"),
        "static const char *where = __FILE__;\n#define V 4\n",
    )
    .unwrap();
    let include = format!(
        "#include \"{}\"\nstatic int xval(void) {{ return where[0] == '/' ? V : 0; }}",
        site.path("far/x.h").display()
    );
    let site = site.module(&[("main.go", &main(&include))]);
    prints(&site, &[], &[], "4\n");
    prints(&site, &[("GOFARM_SANDBOX", "off")], &["-a"], "4\n");
    std::fs::write(
        site.path("far/y.h"),
        "static const char *where = __FILE__;\n#define V 55\n",
    )
    .unwrap();
    changed(&site);
    prints(&site, &[], &[], "55\n");
}

/// The compiler records the path as the flag spells it, which goes up out of the module.
#[test]
fn a_header_folder_beside_the_module() {
    let site = Site::new();
    std::fs::create_dir_all(site.path("shared/deeper")).unwrap();
    std::fs::write(
        site.path("shared/x.h"),
        "#include \"deeper/y.h\"\nstatic const char *where = __FILE__;\n",
    )
    .unwrap();
    std::fs::write(site.path("shared/deeper/y.h"), "#define V 4\n").unwrap();
    let preamble = "#cgo CFLAGS: -I${SRCDIR}/../shared\n#include \"x.h\"\n\
                    static int xval(void) { return where[0] == '/' ? V : 0; }";
    let site = site.module(&[("main.go", &main(preamble))]);
    prints(&site, &[], &[], "4\n");
    prints(&site, &[("GOFARM_SANDBOX", "off")], &["-a"], "4\n");
}

#[test]
fn headers_by_every_flag_that_names_them() {
    for (flags, include) in [
        ("-isystem ${SRCDIR}/h", "#include <x.h>"),
        ("-iquote ${SRCDIR}/h", "#include \"x.h\""),
        ("-idirafter ${SRCDIR}/h", "#include <x.h>"),
        ("-include ${SRCDIR}/h/x.h", ""),
        ("-I${SRCDIR}/h", "#define NAME <x.h>\n#include NAME"),
    ] {
        let preamble = format!("{include}\nstatic int xval(void) {{ return V; }}");
        let site = Site::new().module(&[
            ("main.go", &main(&preamble)),
            ("h/x.h", "#include \"y.h\"\n"),
            ("h/y.h", "#define V 6\n"),
        ]);
        let flags = flags.replace("${SRCDIR}", &site.src("").display().to_string());
        prints(&site, &[("CGO_CFLAGS", &flags)], &[], "6\n");
    }
}

#[test]
fn more_files_than_a_command_line_can_name() {
    let site = Site::cold().module(&[(
        "main.go",
        "package main\n\nfunc main() { println(f0() + f11999()) }\n",
    )]);
    for number in 0..12_000 {
        let name = format!(
            "a_long_name_so_that_the_command_line_gets_as_long_as_it_does_in_generated_code_{number}.go"
        );
        site.write(
            &name,
            &format!("package main\n\nfunc f{number}() int {{ return {number} }}\n"),
        );
    }
    site.age();
    prints(&site, &[], &[], "11999\n");
}
