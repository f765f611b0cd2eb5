//! A plan is used again while nothing changed that planning depends on, and made anew for every thing that did.
//!
//! Each case edits a small module of its own and asks the planner again; a plan that is used again must equal the plan
//! that a fresh dry run gives.

#![allow(
    clippy::unwrap_used,
    reason = "outside of test functions too, a test fails where it stands"
)]

mod asked;
mod module;
mod overlaid;
mod wrapped;

use std::fs;

use module::{Module, after, after_in, cases, warmed};

cases! {
    of Module::new();
    a_body_edit_is_no_change: true, |m: &mut Module| m.edit("lib/lib.go", "one", "another");
    a_comment_behind_the_imports_is_no_change: true, |m: &mut Module| m.edit("lib/lib.go", "// F is", "// F was");
    a_test_file_is_no_change: true, |m: &mut Module| m.edit("lib/lib_test.go", "\"testing\"", "\"testing\"\nimport _ \"os\"");
    // It could be of another package, which cmd/go refuses.
    a_new_test_file_is_a_change: false, |m: &mut Module| m.write("lib/more_test.go", "package lib\n");
    the_content_of_an_embedded_file_is_no_change: true, |m: &mut Module| m.write("data/a.txt", "b\n");
    a_folder_of_programs_is_no_change: true, |m: &mut Module| m.write("bin/m", "\u{7f}ELF");
    a_note_beside_the_sources_is_no_change: true, |m: &mut Module| m.write("lib/NOTES.md", "x");
    a_new_file_is_a_change: false, |m: &mut Module| m.write("lib/more.go", "package lib\n");
    a_removed_file_is_a_change: false, |m: &mut Module| fs::remove_file(m.root().join("lib/only_windows.go")).unwrap();
    a_renamed_file_is_a_change: false, |m: &mut Module| {
        fs::rename(m.root().join("lib/lib.go"), m.root().join("lib/lob.go")).unwrap();
    };
    a_package_clause_is_a_change: false, |m: &mut Module| m.edit("main.go", "package main", "package main // main");
    an_import_is_a_change: false, |m: &mut Module| m.edit("lib/lib.go", "package lib\n", "package lib\n\nimport _ \"unicode\"\n");
    a_build_constraint_is_a_change: false, |m: &mut Module| m.edit("lib/lib.go", "// Package lib.", "//go:build !plan9\n\n// Package lib.");
    the_constraint_of_a_file_left_out_is_a_change: false, |m: &mut Module| m.edit("lib/only_windows.go", "package lib", "//go:build ignore\n\npackage lib");
    an_embed_pattern_is_a_change: false, |m: &mut Module| m.edit("main.go", "data/*.txt", "data/a.txt");
    a_new_embedded_file_is_a_change: false, |m: &mut Module| {
        m.edit("main.go", "var data string", "var data embed.FS");
        m.edit("main.go", "_ \"embed\"", "\"embed\"");
        m.edit("main.go", ", data", "");
        m.write("data/b.txt", "b\n");
    };
    a_debug_setting_is_a_change: false, |m: &mut Module| m.edit("main.go", "package main", "//go:debug panicnil=1\npackage main");
    the_language_version_is_a_change: false, |m: &mut Module| m.edit("go.mod", "go 1.24", "go 1.23");
    a_sum_file_is_a_change: false, |m: &mut Module| m.write("go.sum", "");
    a_workspace_is_a_change: false, |m: &mut Module| m.write("go.work", "go 1.24\n\nuse .\n");
    a_new_package_is_a_change: false, |m: &mut Module| m.write("extra/extra.go", "package extra\n");
    a_nested_module_is_a_change: false, |m: &mut Module| m.write("nested/go.mod", "module example.com/nested\n");
    a_vendor_folder_is_a_change: false, |m: &mut Module| m.write("vendor/modules.txt", "");
    a_flag_is_a_change: false, |m: &mut Module| m.request.flags.push("-tags=pro".into());
    trimpath_is_a_change: false, |m: &mut Module| m.request.trimpath = false;
    other_packages_are_a_change: false, |m: &mut Module| m.request.packages = vec!["./lib".into()];
    goos_is_a_change: false, |m: &mut Module| m.set("GOOS", "windows");
    goarch_is_a_change: false, |m: &mut Module| m.set("GOARCH", "arm64");
    goflags_are_a_change: false, |m: &mut Module| m.set("GOFLAGS", "-tags=pro");
    goamd64_is_a_change: false, |m: &mut Module| m.set("GOAMD64", "v3");
    goexperiment_is_a_change: false, |m: &mut Module| m.set("GOEXPERIMENT", "nogreenteagc,noregabiwrappers,noregabiargs");
    a_setting_of_go_env_is_a_change: false, |m: &mut Module| {
        let file = m.folder.path().join("home/.config/go/env");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "GOAMD64=v2\n").unwrap();
    };
    a_repository_is_a_change: false, |m: &mut Module| m.git(&["init", "-q"]);
}

/// With a package that has C code of its own.
fn cgo() -> Module {
    let mut module = Module::new();
    module.set("CGO_ENABLED", "1");
    module.request.packages = vec!["./c".into()];
    module.write(
        "c/c.go",
        "package c\n\n// #cgo CFLAGS: -DX=1\n// #include \"own.h\"\nimport \"C\"\n\nfunc F() int { return int(C.f()) }\n",
    );
    module.write(
        "c/own.c",
        "#include \"own.h\"\n\nint f(void) { return 1; }\n",
    );
    module.write("c/own.h", "int f(void);\n");
    module.write("c/other.h", "int g(void);\n");
    module
}

cases! {
    of cgo();
    a_body_edit_beside_c_is_no_change: true, |m: &mut Module| m.edit("c/c.go", "return int", "return 1 + int");
    a_body_edit_in_c_is_no_change: true, |m: &mut Module| m.edit("c/own.c", "return 1", "return 2");
    a_declaration_in_a_header_is_no_change: true, |m: &mut Module| m.edit("c/own.h", "int f", "int h(void);\nint f");
    a_flag_for_c_is_a_change: false, |m: &mut Module| m.edit("c/c.go", "-DX=1", "-DX=2");
    a_preamble_is_a_change: false, |m: &mut Module| m.edit("c/c.go", "// #include", "// int g(void);\n// #include");
    an_include_is_a_change: false, |m: &mut Module| m.edit("c/own.h", "int f", "#include \"other.h\"\nint f");
    a_new_c_file_is_a_change: false, |m: &mut Module| m.write("c/more.c", "int h(void) { return 1; }\n");
    a_new_header_is_a_change: false, |m: &mut Module| m.write("c/more.h", "");
    flags_for_all_c_code_are_a_change: false, |m: &mut Module| m.set("CGO_CFLAGS", "-O1");
    another_c_compiler_is_a_change: false, |m: &mut Module| m.set("CC", "cc");
    no_cgo_is_a_change: false, |m: &mut Module| {
        m.write("c/pure.go", "package c\n");
        m.set("CGO_ENABLED", "0");
    };
}

/// The pattern stays as it is; what it matches does not.
#[test]
fn a_file_that_comes_or_goes_below_an_embed_pattern_is_a_change() {
    let module = || {
        let module = Module::new();
        module.edit("main.go", "var data string", "var data embed.FS");
        module.edit("main.go", "_ \"embed\"", "\"embed\"");
        module.edit("main.go", ", data", "");
        module.write("data/b.txt", "b\n");
        module
    };
    assert!(!after_in(module(), |m| m.write("data/c.txt", "c\n")));
    assert!(!after_in(module(), |m| fs::remove_file(
        m.root().join("data/b.txt")
    )
    .unwrap()));
    assert!(after_in(module(), |m| m.write("data/b.txt", "other\n")));
}

#[test]
fn an_import_that_goes_is_a_change() {
    assert!(!after(|m| {
        m.edit("main.go", "\n\t\"example.com/m/lib\"\n", "");
        m.edit("main.go", "lib.F(), ", "");
    }));
}

#[test]
fn a_requirement_and_its_vendored_package_are_changes() {
    let vendored = || {
        let module = Module::new();
        module.edit(
            "go.mod",
            "go 1.24",
            "go 1.24\n\nrequire example.com/dep v1.0.0",
        );
        module.edit(
            "lib/lib.go",
            "package lib\n",
            "package lib\n\nimport _ \"example.com/dep\"\n",
        );
        module.write(
            "vendor/modules.txt",
            "# example.com/dep v1.0.0\n## explicit; go 1.24\nexample.com/dep\n",
        );
        module.write("vendor/example.com/dep/dep.go", "package dep\n");
        module
    };
    assert!(after_in(vendored(), |m| m.write(
        "vendor/example.com/dep/dep.go",
        "package dep\n\nvar D = 1\n"
    )));
    assert!(!after_in(vendored(), |m| m
        .write("vendor/example.com/dep/more.go", "package dep\n")));
    assert!(!after_in(vendored(), |m| m.edit(
        "vendor/modules.txt",
        "explicit; go 1.24",
        "explicit; go 1.23"
    )));
    assert!(!after_in(vendored(), |m| {
        m.edit("go.mod", "v1.0.0", "v1.0.1");
        m.edit("vendor/modules.txt", "v1.0.0", "v1.0.1");
    }));
}

#[test]
fn a_module_of_the_workspace_counts_like_the_main_one() {
    let workspace = || {
        let module = Module::new();
        module.write("go.work", "go 1.24\n\nuse .\nuse ../other\n");
        module.edit(
            "lib/lib.go",
            "package lib\n",
            "package lib\n\nimport _ \"example.com/other\"\n",
        );
        module.write("../other/go.mod", "module example.com/other\n\ngo 1.24\n");
        module.write("../other/other.go", "package other\n\nvar O = 1\n");
        module
    };
    assert!(after_in(workspace(), |m| m.edit(
        "../other/other.go",
        "= 1",
        "= 2"
    )));
    assert!(!after_in(workspace(), |m| m
        .write("../other/more.go", "package other\n")));
    assert!(!after_in(workspace(), |m| m.edit(
        "../other/go.mod",
        "go 1.24",
        "go 1.23"
    )));
    assert!(!after_in(workspace(), |m| m.edit("go.work", "go 1.24", "go 1.25")));
}

#[test]
fn a_workspace_may_be_a_file_of_any_name() {
    let mut module = Module::new();
    module.write("spaces", "go 1.24\n\nuse .\n");
    let file = module.root().join("spaces");
    module.set("GOWORK", file.to_str().unwrap());
    assert!(!after_in(module, |m| m.edit("spaces", "go 1.24", "go 1.25")));
}

/// Whose own folder has no package, so nothing but its go.mod tells that it is there.
#[test]
fn a_module_of_the_workspace_may_be_named_without_a_dot_or_with_blanks() {
    for (folder, used) in [("plain", "plain"), ("a b", "\"./a b\"")] {
        let module = Module::new();
        module.write("go.work", &format!("go 1.24\n\nuse .\nuse {used}\n"));
        module.edit(
            "lib/lib.go",
            "package lib\n",
            "package lib\n\nimport _ \"example.com/other/p\"\n",
        );
        let file = format!("{folder}/go.mod");
        module.write(&file, "module example.com/other\n\ngo 1.24\n");
        module.write(&format!("{folder}/p/p.go"), "package p\n");
        let reused = after_in(module, |m| m.edit(&file, "go 1.24", "go 1.23"));
        assert!(!reused, "{folder}");
    }
}

#[test]
fn the_state_of_the_repository_is_part_of_a_plan_that_is_stamped_with_it() {
    let mut module = Module::new();
    module.git(&["init", "-q"]);
    module.git(&["add", "-A"]);
    module.git(&["commit", "-qm", "one"]);
    module.age();
    warmed(&mut module);

    module.edit("lib/lib.go", "one", "two");
    assert!(!module.planned().1, "the tree is modified now");
    module.age();
    module.planned();
    module.edit("lib/lib.go", "two", "three");
    assert!(module.planned().1, "it was modified before");

    module.git(&["commit", "-qam", "two"]);
    assert!(!module.planned().1, "there is a new commit");
    module.age();
    module.planned();
    assert!(module.planned().1);
    module.git(&["tag", "v1.2.3"]);
    assert!(!module.planned().1, "there is a new tag");
}

#[test]
fn another_go_command_is_a_change() {
    let mut module = Module::new();
    let bin = module.folder.path().join("bin");
    fs::create_dir_all(&bin).unwrap();
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .map(|folder| folder.join("go"))
        .find(|path| path.is_file())
        .unwrap();
    let script = |comment: &str| {
        use std::os::unix::fs::PermissionsExt;
        let text = format!("#!/bin/sh\n# {comment}\nexec {} \"$@\"\n", found.display());
        fs::write(bin.join("go"), text).unwrap();
        fs::set_permissions(bin.join("go"), fs::Permissions::from_mode(0o755)).unwrap();
    };
    script("one");
    let path = std::env::join_paths(
        std::iter::once(bin.clone())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    module.set("PATH", path.unwrap().to_str().unwrap());
    module.age();
    warmed(&mut module);
    script("another");
    assert!(!module.planned().1);
}

#[test]
fn a_torn_snapshot_is_no_plan() {
    let mut module = Module::new();
    warmed(&mut module);
    for entry in fs::read_dir(module.folder.path().join("plans"))
        .unwrap()
        .flatten()
    {
        let mut bytes = fs::read(entry.path()).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(entry.path(), bytes).unwrap();
    }
    assert!(!module.planned().1);
}
