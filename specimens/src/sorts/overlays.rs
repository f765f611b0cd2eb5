//! Files that stand for others.

use super::{A, B, MAIN, MAIN_AB, quick};
use crate::specimen::Specimen;

pub(super) const ALL: &[Specimen] = &[
    quick("overlay_of_sources", |w| {
        w.flags(&["-overlay=../overlay.json"]);
        w.files(&[
            (
                "overlay.json",
                "{\"Replace\": {\"main.go\": \"../alt/main.go\", \"b/more.go\": \"../alt/more.go\", \"b/gone.go\": \"\"}}\n",
            ),
            ("alt/main.go", MAIN_AB),
            (
                "alt/more.go",
                "package b\n\nfunc init() { println(300) }\n",
            ),
        ])?;
        w.module(&[
            ("main.go", MAIN),
            ("a/a.go", A),
            ("b/b.go", B),
            ("b/gone.go", "package b\n\nfunc init() { println(400) }\n"),
        ])
    }),
    quick("overlay_of_a_folder", |w| {
        w.env("GOFLAGS", "-overlay=../overlay.json");
        w.packages(&["./..."]);
        w.files(&[
            (
                "overlay.json",
                "{\"Replace\": {\"a/a.go\": \"../alt/a.go\", \"b/b.go\": \"../alt/b.txt\"}}\n",
            ),
            ("alt/a.go", A),
            ("alt/b.txt", B),
        ])?;
        w.module(&[("main.go", MAIN_AB)])
    }),
    quick("overlay_of_embedded_files", |w| {
        w.flags(&["-overlay=overlay.json"]);
        w.files(&[("alt/f", "text 1\n"), ("alt/g", "text 2\n")])?;
        w.module(&[
            (
                "overlay.json",
                "{\"Replace\": {\"d/f.txt\": \"../alt/f\", \"d/e/g.txt\": \"../alt/g\", \"d/h.txt\": \"\"}}\n",
            ),
            (
                "main.go",
                "package main\n\nimport \"embed\"\n\n//go:embed d\nvar d embed.FS\n\nfunc main() {\n\tentries, _ := d.ReadDir(\"d\")\n\tprintln(len(entries))\n}\n",
            ),
            ("d/f.txt", "text 3\n"),
            ("d/h.txt", "text 4\n"),
        ])
    }),
    quick("overlay_of_module_files", |w| {
        w.flags(&["-overlay=../overlay.json"]);
        w.files(&[
            (
                "overlay.json",
                "{\"Replace\": {\"go.mod\": \"../alt/go.mod\"}}\n",
            ),
            (
                "alt/go.mod",
                "module example.com/m\n\ngo 1.24\n\nrequire example.com/b v1.0.0\n\nreplace example.com/b => ../b\n",
            ),
            ("b/go.mod", "module example.com/b\n\ngo 1.24\n"),
            ("b/b.go", B),
        ])?;
        w.module(&[(
            "main.go",
            "package main\n\nimport \"example.com/b\"\n\nfunc main() { println(b.B()) }\n",
        )])
    }),
    quick("overlay_of_c_files", |w| {
        w.flags(&["-overlay=../overlay.json"]);
        w.files(&[
            (
                "overlay.json",
                "{\"Replace\": {\"main.go\": \"../alt/main.go\", \"f.c\": \"../alt/f.c\", \"h.h\": \"../alt/h.h\"}}\n",
            ),
            (
                "alt/main.go",
                "package main\n\n/*\nint f(void);\n*/\nimport \"C\"\n\nfunc main() { println(C.f()) }\n",
            ),
            (
                "alt/f.c",
                "#include \"h.h\"\n\nint f(void) { return VALUE; }\n",
            ),
            ("alt/h.h", "#define VALUE 100\n"),
        ])?;
        w.module(&[("main.go", MAIN), ("h.h", "#define VALUE 200\n")])
    }),
];
