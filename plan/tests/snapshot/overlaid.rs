//! Plans with `-overlay`: what counts is what cmd/go sees.

use std::fs;
use std::os::unix::fs::symlink;

use gofarm_plan::plan;

use crate::cgo;
use crate::module::{Module, after_in, cases, is_refused_after, sees_an_unseen_import};

/// `main.go` is another file than the one that is there, `lib` has one file more and one less, `new` is there only by the overlay.
fn overlaid() -> Module {
    let mut module = Module::new();
    module.write(
        "alt/main.go",
        "package main\n\nimport (\n\t_ \"embed\"\n\n\t\"example.com/m/lib\"\n\t\"example.com/m/new\"\n)\n\n//go:embed data/*.txt\nvar data string\n\nfunc main() { println(lib.F(), lib.G(), new.N, data) }\n",
    );
    module.write("alt/g.go", "package lib\n\nfunc G() int { return 1 }\n");
    // A name that no Go file has.
    module.write("alt/n.txt", "package new\n\nconst N = 1\n");
    module.write("lib/gone.go", "this is no Go\n");
    module.write("alt/a.txt", "other\n");
    overlay(
        &mut module,
        &[
            ("main.go", "alt/main.go"),
            ("lib/g.go", "alt/g.go"),
            ("lib/gone.go", ""),
            ("new/n.go", "alt/n.txt"),
            ("data/a.txt", "alt/a.txt"),
        ],
    );
    module.request.packages = vec![".".into()];
    module
}

fn overlay(module: &mut Module, files: &[(&str, &str)]) {
    module.write("o.json", &json(files));
    module.request.flags.push("-overlay=o.json".into());
}

fn json(files: &[(&str, &str)]) -> String {
    let lines: Vec<String> = files
        .iter()
        .map(|(path, by)| format!("\t\t\"{path}\": \"{by}\""))
        .collect();
    format!("{{\n\t\"Replace\": {{\n{}\n\t}}\n}}\n", lines.join(",\n"))
}

cases! {
    of overlaid();
    a_body_edit_of_a_file_that_stands_for_another_is_no_change: true, |m: &mut Module| m.edit("alt/g.go", "return 1", "return 2");
    an_import_of_a_file_that_stands_for_another_is_a_change: false, |m: &mut Module| m.edit("alt/g.go", "package lib", "package lib\n\nimport _ \"unicode\"");
    a_file_with_a_name_of_another_sort_counts_as_a_whole: false, |m: &mut Module| m.edit("alt/n.txt", "N = 1", "N = 2");
    the_file_for_which_another_stands_is_no_change: true, |m: &mut Module| m.edit("main.go", "_ \"embed\"", "_ \"embed\"\n\t_ \"unicode\"");
    the_file_that_is_taken_away_is_no_change: true, |m: &mut Module| m.write("lib/gone.go", "package lib\n\nimport \"nothing\"\n");
    the_overlay_is_a_change: false, |m: &mut Module| m.edit("o.json", "\t\t\"lib/gone.go\": \"\",\n", "\t\t\"lib/gone.go\": \"\",\n\t\t\"lib/only_windows.go\": \"\",\n");
    a_file_in_a_folder_to_which_the_overlay_adds_is_a_change: false, |m: &mut Module| m.write("lib/more.go", "package lib\n");
    a_file_in_a_folder_that_only_the_overlay_has_is_a_change: false, |m: &mut Module| m.write("new/more.go", "package new\n");
    a_folder_that_only_the_overlay_has_and_then_is_there_is_a_change: false, |m: &mut Module| fs::create_dir(m.root().join("new")).unwrap();
    the_content_of_an_embedded_file_that_stands_for_another_is_no_change: true, |m: &mut Module| m.write("alt/a.txt", "more\n");
    another_name_of_the_overlay_is_a_change: false, |m: &mut Module| {
        fs::copy(m.root().join("o.json"), m.root().join("p.json")).unwrap();
        m.request.flags = vec!["-overlay=p.json".into()];
    };
    without_the_overlay_it_is_another_plan: false, |m: &mut Module| {
        fs::remove_file(m.root().join("lib/gone.go")).unwrap();
        m.request.flags.clear();
    };
}

#[test]
fn an_overlay_that_is_changed_is_read_again() {
    let reused = after_in(overlaid(), |m| {
        m.write("alt/h.go", "package lib\n\nfunc G() int { return 3 }\n");
        m.edit("o.json", "alt/g.go", "alt/h.go");
    });
    assert!(!reused);
}

#[test]
fn what_stands_for_a_file_is_gone() {
    for name in ["alt/main.go", "alt/n.txt", "alt/a.txt"] {
        is_refused_after(overlaid(), |m| {
            fs::remove_file(m.root().join(name)).unwrap();
        });
    }
}

#[test]
fn what_stands_for_a_file_becomes_a_folder() {
    for name in ["alt/g.go", "alt/a.txt"] {
        is_refused_after(overlaid(), |m| {
            fs::remove_file(m.root().join(name)).unwrap();
            fs::create_dir(m.root().join(name)).unwrap();
        });
    }
}

/// cmd/go follows links there, where it does not follow those of embedded files.
#[test]
fn what_stands_for_a_file_becomes_a_link() {
    let linked = |to: &'static str| {
        move |m: &mut Module| {
            for name in ["g.go", "a.txt"] {
                let path = m.root().join("alt").join(name);
                fs::rename(&path, m.root().join(format!("alt/moved-{name}"))).unwrap();
                symlink(format!("{to}{name}"), path).unwrap();
            }
        }
    };
    after_in(overlaid(), linked("moved-"));
    is_refused_after(overlaid(), linked("nothing-"));
}

#[test]
fn an_embedded_file_comes_by_the_overlay() {
    let module = || {
        let mut module = Module::new();
        module.edit("main.go", "data/*.txt", "all:data");
        module.edit("main.go", "var data string", "var data embed.FS");
        module.edit("main.go", "_ \"embed\"", "\"embed\"");
        module.edit("main.go", ", data", "");
        module.write("data/.keep", "");
        module.write("alt/b", "b\n");
        module.write("data/c.txt", "c\n");
        overlay(
            &mut module,
            &[("data/deep/b.txt", "alt/b"), ("data/c.txt", "")],
        );
        module
    };
    assert!(after_in(module(), |m| m.write("alt/b", "other\n")));
    assert!(after_in(module(), |m| m.write("data/c.txt", "other\n")));
    assert!(!after_in(module(), |m| m.write("data/deep/d.txt", "d\n")));
    assert!(!after_in(module(), |m| m.write("data/e.txt", "e\n")));
    // cmd/go leaves it out then.
    assert!(!after_in(module(), |m| {
        fs::remove_file(m.root().join("alt/b")).unwrap();
    }));
}

#[test]
fn files_of_modules_that_the_overlay_gives_count_as_a_whole() {
    let module = || {
        let mut module = Module::new();
        module.write(
            "alt/mod",
            "module example.com/m\n\ngo 1.24\n\nrequire example.com/other v1.0.0\n\nreplace example.com/other => ../other\n",
        );
        module.edit(
            "lib/lib.go",
            "package lib\n",
            "package lib\n\nimport _ \"example.com/other\"\n",
        );
        module.write("../other/go.mod", "module example.com/other\n\ngo 1.24\n");
        module.write("../other/other.go", "package other\n\nvar O = 1\n");
        overlay(&mut module, &[("go.mod", "alt/mod")]);
        module
    };
    assert!(after_in(module(), |m| m.edit(
        "../other/other.go",
        "= 1",
        "= 2"
    )));
    assert!(!after_in(module(), |m| m.edit("alt/mod", "go 1.24", "go 1.25")));
    assert!(!after_in(module(), |m| m.edit(
        "../other/go.mod",
        "go 1.24",
        "go 1.23"
    )));
}

/// A file that is found older than it is makes cmd/go believe its index of packages.
#[test]
fn an_import_of_a_file_that_stands_for_another_comes_while_size_and_time_stay() {
    sees_an_unseen_import(overlaid(), "alt/g.go", "func G() int { return 1 }");
}

#[test]
fn a_c_file_and_a_header_that_stand_for_others() {
    let module = || {
        let mut module = cgo();
        module.write("alt/h", "int f(void);\n#define X 1\n");
        module.write("alt/c", "#include \"own.h\"\nint f(void) { return X; }\n");
        overlay(&mut module, &[("c/own.h", "alt/h"), ("c/own.c", "alt/c")]);
        module
    };
    assert!(after_in(module(), |m| m.edit(
        "alt/c",
        "return X",
        "return 2 + X"
    )));
    assert!(!after_in(module(), |m| m.edit("alt/h", "X 1", "X 2")));
    assert!(!after_in(module(), |m| m
        .write("c/more.c", "int g(void) { return 1; }\n")));
}

#[test]
fn an_overlay_that_cannot_be_read_twice_is_refused() {
    let mut module = Module::new();
    let pipe = module.root().join("o.json");
    let make = ["mkfifo".to_owned(), pipe.display().to_string()];
    module.go().ask_tool(&make, &module.root()).unwrap();
    module.request.flags.push("-overlay=o.json".into());
    std::thread::scope(|scope| {
        scope.spawn(|| fs::write(&pipe, json(&[("lib/none.go", "")])).unwrap());
        let error = plan(&module.go(), &module.request).unwrap_err();
        assert!(error.to_string().contains("no regular file"), "{error}");
    });
}
