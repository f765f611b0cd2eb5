//! Embedded files in all forms.

use super::quick;
use crate::specimen::Specimen;

/// A program that embeds a pattern as a file system.
fn tree(pattern: &str) -> String {
    format!(
        "package main\n\nimport \"embed\"\n\n//go:embed {pattern}\nvar tree embed.FS\n\nfunc main() {{\n\tentries, err := tree.ReadDir(\".\")\n\tprintln(len(entries), err == nil)\n}}\n"
    )
}

const TEXT: &str = "package main\n\nimport _ \"embed\"\n\n//go:embed f.txt\nvar text string\n\nfunc main() { println(text) }\n";

pub(super) const ALL: &[Specimen] = &[
    quick("embed_a_file", |w| {
        w.module(&[
            ("main.go", TEXT),
            ("f.txt", "text 100\n"),
            ("g.txt", "other 1\n"),
        ])
    }),
    quick("embed_a_file_in_a_folder", |w| {
        w.module(&[
            ("main.go", &TEXT.replace("f.txt", "d/f.txt")),
            ("d/f.txt", "text 100\n"),
            ("d/g.txt", "other 1\n"),
        ])
    }),
    quick("embed_a_folder", |w| {
        w.module(&[
            ("main.go", &tree("d")),
            ("d/f.txt", "text 1\n"),
            ("d/e/g.txt", "text 2\n"),
            ("d/e/_not.txt", "text 3\n"),
            ("d/.not.txt", "text 4\n"),
        ])
    }),
    quick("embed_all_of_a_folder", |w| {
        w.module(&[
            ("main.go", &tree("all:d")),
            ("d/f.txt", "text 1\n"),
            ("d/_too.txt", "text 3\n"),
            ("d/.h/too.txt", "text 4\n"),
        ])
    }),
    quick("embed_a_glob", |w| {
        w.module(&[
            ("main.go", &tree("*.txt d/*.t?t")),
            ("f.txt", "text 1\n"),
            ("d/g.txt", "text 2\n"),
            ("d/h.md", "text 3\n"),
        ])
    }),
    quick("embed_several_lines", |w| {
        w.module(&[
            ("main.go", "package main\n\nimport \"embed\"\n\n//go:embed f.txt\n//go:embed \"a b.txt\" `d`\nvar tree embed.FS\n\nfunc main() { println(tree.ReadDir(\".\")) }\n"),
            ("f.txt", "text 1\n"),
            ("a b.txt", "text 2\n"),
            ("d/g.txt", "text 3\n"),
        ])
    }),
    quick("embed_a_folder_with_links", |w| {
        w.module(&[
            ("main.go", &tree("d")),
            ("d/f.txt", "text 1\n"),
            ("other/g.txt", "text 2\n"),
        ])?;
        w.link("src/d/link.txt", "../other/g.txt")?;
        w.link("src/d/folder", "../other")?;
        w.link("src/d/nowhere", "gone")
    }),
    quick("embed_in_a_dependency", |w| {
        w.packages(&["./..."]);
        w.module(&[
            (
                "main.go",
                "package main\n\nimport \"example.com/m/a\"\n\nfunc main() { println(a.Text) }\n",
            ),
            (
                "a/a.go",
                "package a\n\nimport _ \"embed\"\n\n//go:embed t/*.txt\nvar Text string\n",
            ),
            ("a/t/one.txt", "text 1\n"),
        ])
    }),
    quick("embed_for_tests_alone", |w| {
        w.module(&[
            ("main.go", "package main\n\nfunc main() { println(100) }\n"),
            (
                "main_test.go",
                "package main\n\nimport _ \"embed\"\n\n//go:embed f.txt\nvar text string\n",
            ),
            ("f.txt", "text 1\n"),
        ])
    }),
    quick("embed_go_files_and_modules", |w| {
        w.module(&[
            ("main.go", &tree("d")),
            ("d/x.go", "package x\n\nconst X = 1\n"),
            ("d/sub/f.txt", "text 1\n"),
            ("other/go.mod", "module example.com/other\n"),
            ("other/f.txt", "text 1\n"),
        ])
    }),
    quick("embed_what_is_not_there", |w| {
        w.module(&[("main.go", TEXT), ("g.txt", "other 1\n")])
    }),
];
