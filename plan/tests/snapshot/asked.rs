//! What planning asked of the file system and of programs, in the ways in which answers change without a listing or a
//! header of an ordinary source changing.

use std::fs;
use std::os::unix::fs::symlink;

use gofarm_plan::plan;

use crate::module::{Module, after_in, is_refused_after, sees_an_unseen_import, warmed};

fn with_folder() -> Module {
    let module = Module::new();
    module.edit("main.go", "data/*.txt", "data");
    module.edit("main.go", "var data string", "var data embed.FS");
    module.edit("main.go", "_ \"embed\"", "\"embed\"");
    module.edit("main.go", ", data", "");
    module.write("data/b.txt", "b\n");
    module
}

#[test]
fn an_embedded_file_that_becomes_a_link() {
    is_refused_after(Module::new(), |m| {
        fs::rename(m.root().join("data/a.txt"), m.root().join("a.txt")).unwrap();
        symlink("../a.txt", m.root().join("data/a.txt")).unwrap();
    });
}

#[test]
fn a_folder_of_an_embedded_file_that_becomes_a_link() {
    is_refused_after(Module::new(), |m| {
        fs::rename(m.root().join("data"), m.root().join("moved")).unwrap();
        symlink("moved", m.root().join("data")).unwrap();
    });
}

#[test]
fn a_file_in_an_embedded_folder_that_becomes_a_link() {
    let reused = after_in(with_folder(), |m| {
        fs::rename(m.root().join("data/b.txt"), m.root().join("b.txt")).unwrap();
        symlink("../b.txt", m.root().join("data/b.txt")).unwrap();
    });
    assert!(!reused);
}

#[test]
fn a_program_beside_embedded_files_is_no_change() {
    let module = Module::new();
    module.edit("main.go", "data/*.txt", "*.txt");
    module.write("top.txt", "t\n");
    assert!(after_in(module, |m| m.write("bin/m", "\u{7f}ELF")));
}

fn with_c(preamble: &str) -> Module {
    let mut module = Module::new();
    module.set("CGO_ENABLED", "1");
    module.request.packages = vec!["./c".into()];
    module.write(
        "c/c.go",
        &format!("package c\n\n/*\n{preamble}\n*/\nimport \"C\"\n\nfunc F() {{}}\n"),
    );
    module
}

#[test]
fn an_included_file_of_any_name_that_includes_another() {
    for name in ["t.def", "_inc/t.h", "t"] {
        let module = with_c(&format!("#include \"{name}\""));
        module.write(&format!("c/{name}"), "int x;\n");
        module.write("c/_inc/u.def", "int y;\n");
        module.write("c/u.def", "int y;\n");
        let reused = after_in(module, |m| {
            m.edit(&format!("c/{name}"), "int x;", "#include \"u.def\"\nint x;");
        });
        assert!(!reused, "{name}");
    }
}

#[test]
fn a_header_that_appears_before_another_of_its_name() {
    let module = with_c("#cgo CFLAGS: -I${SRCDIR}/_a -I${SRCDIR}/_b\n#include <x.h>");
    module.write("c/_b/x.h", "#define X 1\n");
    fs::create_dir_all(module.root().join("c/_a")).unwrap();
    assert!(!after_in(module, |m| m.write("c/_a/x.h", "#define X 2\n")));
}

#[test]
fn a_header_that_was_asked_for_and_appears() {
    let module = with_c("#if __has_include(\"opt.def\")\n#include \"opt.def\"\n#endif");
    assert!(!after_in(module, |m| m.write("c/opt.def", "int o;\n")));
}

#[test]
fn a_package_that_appears_without_modules() {
    let mut module = Module::new();
    let gopath = module.folder.path().join("gopath");
    let root = gopath.join("src/example.com/m");
    fs::create_dir_all(root.parent().unwrap()).unwrap();
    fs::rename(module.root(), &root).unwrap();
    fs::remove_file(root.join("go.mod")).unwrap();
    symlink(&root, module.root()).unwrap();
    module.set("GOPATH", gopath.to_str().unwrap());
    module.set("GO111MODULE", "off");
    module.at = Some(root);
    assert!(!after_in(module, |m| m.write("extra/extra.go", "package extra\n")));
}

#[test]
fn what_pkg_config_says() {
    let module = || {
        let mut module = with_c("#cgo pkg-config: own");
        let folder = module.folder.path().join("pc");
        fs::create_dir_all(&folder).unwrap();
        fs::write(
            folder.join("own.pc"),
            "Name: own\nDescription: d\nVersion: 1\nCflags: -DOWN=1\n",
        )
        .unwrap();
        module.set("PKG_CONFIG_PATH", folder.to_str().unwrap());
        module
    };
    assert!(after_in(module(), |_| {}));
    assert!(!after_in(module(), |m| {
        let file = m.folder.path().join("pc/own.pc");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(file, text.replace("OWN=1", "OWN=2")).unwrap();
    }));
}

#[test]
fn a_commit_of_a_repository_around_a_nested_one() {
    let mut module = Module::new();
    let outer = module.folder.path().to_owned();
    module.git_in(&outer, &["init", "-q"]);
    module.git(&[
        "init",
        "-q",
        "--separate-git-dir",
        outer.join("inner.git").to_str().unwrap(),
    ]);
    module.git(&["add", "-A"]);
    module.git(&["commit", "-qm", "inner"]);
    fs::write(outer.join("file"), "1").unwrap();
    module.git_in(&outer, &["add", "file"]);
    module.git_in(&outer, &["commit", "-qm", "outer"]);
    module.age();
    warmed(&mut module);
    fs::write(outer.join("file"), "2").unwrap();
    module.git_in(&outer, &["commit", "-qam", "again"]);
    let (again, _) = module.planned();
    let fresh = plan(&module.go(), &module.request).unwrap();
    assert_eq!(again.nodes, fresh.nodes);
}

/// cmd/go's own index of packages does not see it either.
#[test]
fn an_import_that_comes_while_size_and_time_stay() {
    sees_an_unseen_import(
        Module::new(),
        "lib/lib.go",
        "func F() string { return \"\" }",
    );
}

#[test]
fn with_another_name_for_the_program_a_plan_is_used_again() {
    let mut module = Module::new();
    module.request.packages = vec![".".into()];
    module.request.output = Some("one".into());
    module.age();
    warmed(&mut module);
    module.request.output = Some("two".into());
    let (plan, reused) = module.planned();
    assert!(reused);
    let target = |plan: &gofarm_plan::Plan| {
        let program = plan.programs().next().unwrap();
        plan.nodes[program].target.clone()
    };
    assert_eq!(target(&plan).as_deref(), Some("two"));

    // A folder is another sort, which cmd/go has to be asked about once.
    module.request.output = Some("out/".into());
    assert!(!module.planned().1);
    module.request.output = Some("other/".into());
    let (plan, reused) = module.planned();
    assert!(reused);
    assert_eq!(target(&plan).as_deref(), Some("other/m"));
    module.request.output = None;
    let (plan, reused) = module.planned();
    assert!(reused);
    assert_eq!(target(&plan), None);
    module.request.output = Some("three".into());
    assert!(module.planned().1);
}

#[test]
fn a_plan_of_a_tree_that_was_just_written_is_kept() {
    let mut module = Module::new();
    for round in 0..3 {
        module.write(
            "lib/lib.go",
            &format!("package lib\n\nfunc F() string {{ return \"\" }}\n\nvar _ = {round}\n"),
        );
        module.write(&format!("lib/more{round}.go"), "package lib\n");
        // Longer than a tick of the clock that files have.
        std::thread::sleep(std::time::Duration::from_millis(20));
        warmed(&mut module);
    }
}

#[test]
fn a_module_file_of_another_name() {
    let module = || {
        let mut module = Module::new();
        module.write("other.mod", "module example.com/m\n\ngo 1.24\n");
        module.request.flags.push("-modfile=other.mod".into());
        module
    };
    assert!(after_in(module(), |m| m.edit("lib/lib.go", "one", "two")));
    assert!(!after_in(module(), |m| m.edit(
        "other.mod",
        "go 1.24",
        "go 1.23"
    )));
}

#[test]
fn a_working_folder_that_leads_elsewhere() {
    let mut module = Module::new();
    let (one, two) = (
        module.folder.path().join("one"),
        module.folder.path().join("two"),
    );
    fs::rename(module.root(), &one).unwrap();
    symlink("one", module.root()).unwrap();
    module.age();
    warmed(&mut module);
    let copy = ["cp", "-a", one.to_str().unwrap(), two.to_str().unwrap()].map(str::to_owned);
    module.go().ask_tool(&copy, module.folder.path()).unwrap();
    fs::write(
        two.join("lib/lib.go"),
        "package lib\n\nimport _ \"unicode\"\n\nfunc F() string { return \"\" }\n",
    )
    .unwrap();
    fs::remove_file(module.root()).unwrap();
    symlink("two", module.root()).unwrap();
    assert!(!module.planned().1);
}
