//! Go files: which are of a package, and which are not.

use super::{A, B, MAIN, MAIN_AB, quick};
use crate::specimen::Specimen;

pub(super) const ALL: &[Specimen] = &[
    quick("plain", |w| w.module(&[("main.go", MAIN)])),
    quick("nested_packages", |w| {
        w.packages(&["./..."]);
        w.module(&[
            ("main.go", MAIN_AB),
            ("a/a.go", A),
            ("b/b.go", B),
            ("a/internal/c/c.go", "package c\n\nconst C = 1\n"),
            (
                "a/d/d.go",
                "package d\n\nimport \"example.com/m/a/internal/c\"\n\nconst D = c.C\n",
            ),
        ])
    }),
    quick("test_files", |w| {
        w.packages(&["./..."]);
        w.module(&[
            ("main.go", MAIN_AB),
            ("a/a.go", A),
            (
                "a/a_test.go",
                "package a\n\nimport \"testing\"\n\nfunc TestA(t *testing.T) { _ = A }\n",
            ),
            (
                "a/x_test.go",
                "package a_test\n\nimport \"testing\"\n\nfunc TestX(t *testing.T) {}\n",
            ),
            ("b/b.go", B),
            ("b/testdata/t.txt", "100\n"),
        ])
    }),
    quick("tags_given", |w| {
        w.flags(&["-tags=extra,more"]);
        w.module(&[
            (
                "main.go",
                "package main\n\nfunc main() { println(value) }\n",
            ),
            (
                "on.go",
                "//go:build extra && more\n\npackage main\n\nconst value = 1\n",
            ),
            (
                "off.go",
                "//go:build !extra\n\npackage main\n\nconst value = 2\n",
            ),
        ])
    }),
    quick("tags_not_given", |w| {
        w.module(&[
            (
                "main.go",
                "package main\n\nfunc main() { println(value) }\n",
            ),
            (
                "on.go",
                "//go:build extra\n\npackage main\n\nconst value = 1\n",
            ),
            (
                "off.go",
                "//go:build !extra\n\npackage main\n\nconst value = 2\n",
            ),
            ("ignored.go", "//go:build ignore\n\npackage other\n"),
        ])
    }),
    quick("file_names_that_constrain", |w| {
        let value = |n: u32| format!("package main\n\nconst value = {n}\n");
        w.module(&[
            (
                "main.go",
                "package main\n\nfunc main() { println(value, arch) }\n",
            ),
            ("v_linux.go", &value(1)),
            ("v_windows.go", &value(2)),
            ("v_darwin.go", &value(3)),
            ("a_amd64.go", "package main\n\nconst arch = 1\n"),
            ("a_arm64.go", "package main\n\nconst arch = 2\n"),
        ])
    }),
    quick("ignored_names", |w| {
        w.packages(&["./..."]);
        w.module(&[
            ("main.go", MAIN),
            ("_under.go", "package other\n"),
            (".dot.go", "package other\n"),
            ("_folder/x.go", "package x\n\nthis is no Go\n"),
            (".folder/x.go", "package x\n\nthis is no Go\n"),
            ("testdata/x.go", "package x\n\nthis is no Go\n"),
            ("docs/readme.md", "text 100\n"),
            ("empty/keep", ""),
        ])
    }),
    quick("several_programs", |w| {
        w.packages(&["./cmd/..."]);
        w.module(&[
            (
                "cmd/one/main.go",
                "package main\n\nimport \"example.com/m/b\"\n\nfunc main() { println(1, b.B()) }\n",
            ),
            (
                "cmd/two/main.go",
                "package main\n\nfunc main() { println(2) }\n",
            ),
            ("cmd/notmain/x.go", "package notmain\n"),
            ("b/b.go", B),
        ])
    }),
    quick("files_named", |w| {
        w.packages(&["main.go", "other.go"]);
        w.module(&[
            (
                "main.go",
                "package main\n\nfunc main() { println(value) }\n",
            ),
            ("other.go", "package main\n\nconst value = 1\n"),
            ("third.go", "package main\n\nconst unused = 1\n"),
        ])
    }),
    quick("no_program", |w| {
        w.no_output();
        w.packages(&["./..."]);
        w.module(&[("a/a.go", A), ("b/b.go", B)])
    }),
    quick("program_named_by_import_path", |w| {
        w.packages(&["example.com/m/cmd/one"]);
        w.module(&[
            (
                "cmd/one/main.go",
                "package main\n\nimport \"example.com/m/b\"\n\nfunc main() { println(1, b.B()) }\n",
            ),
            ("b/b.go", B),
        ])
    }),
    quick("go_debug_lines", |w| {
        w.files(&[(
            "src/go.mod",
            "module example.com/m\n\ngo 1.24\n\ngodebug panicnil=1\n",
        )])?;
        w.files(&[(
            "src/main.go",
            "//go:debug http2client=0\n\npackage main\n\nfunc main() { println(100) }\n",
        )])
    }),
    quick("a_file_of_comments", |w| {
        w.module(&[
            ("main.go", "// Package main does.\n\n/* More. */\npackage main // here\n\n// Then.\nfunc main() { println(100) }\n"),
            ("doc.go", "/*\nLong.\n*/\npackage main\n"),
        ])
    }),
    quick("unusual_text", |w| {
        w.module(&[
            ("main.go", "\u{feff}package main\r\n\r\nimport _ \"example.com/m/x\"\r\n\r\nfunc main() { println(\"\u{e4}\") }\r\n"),
            ("x/gr\u{f6}\u{df}e.go", "package x;import`unsafe`;var _ unsafe.Pointer\n"),
        ])
    }),
    quick("standard_library", |w| {
        w.module(&[("main.go", "package main\n\nimport (\n\t\"fmt\"\n\t\"os\"\n\t\"strings\"\n)\n\nfunc main() { fmt.Println(strings.ToUpper(os.Args[0]), 100) }\n")])
    }),
    quick("does_not_compile", |w| {
        w.module(&[
            ("main.go", MAIN_AB),
            ("a/a.go", "package a\n\nvar A int = \"text\"\n"),
            ("b/b.go", "package b\n\nfunc B() int { return 200 + x }\n"),
        ])
    }),
    quick("import_that_is_not_there", |w| {
        w.module(&[("main.go", MAIN_AB), ("a/a.go", A)])
    }),
    quick("two_packages_in_a_folder", |w| {
        w.module(&[
            ("main.go", MAIN),
            ("other.go", "//go:build other\n\npackage other\n"),
        ])
    }),
    quick("line_directives", |w| {
        w.module(&[(
            "main.go",
            "package main\n\n//line other.y:10\nfunc main() { println(100) }\n",
        )])
    }),
];
