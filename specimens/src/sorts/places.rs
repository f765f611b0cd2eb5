//! Where modules lie: links, unusual names, working folders.

use super::{B, MAIN, quick};
use crate::specimen::Specimen;

const USES_B: &str =
    "package main\n\nimport \"example.com/m/b\"\n\nfunc main() { println(b.B()) }\n";

pub(super) const ALL: &[Specimen] = &[
    quick("module_behind_a_link", |w| {
        w.files(&[
            ("real/deep/go.mod", "module example.com/m\n\ngo 1.24\n"),
            ("real/deep/main.go", USES_B),
            ("real/deep/b/b.go", B),
        ])?;
        w.link("way", "real/deep")?;
        w.work_in("way");
        Ok(())
    }),
    quick("package_behind_a_link", |w| {
        w.module(&[("main.go", USES_B)])?;
        w.files(&[("elsewhere/b.go", B)])?;
        w.link("src/b", "../elsewhere")
    }),
    quick("source_behind_a_link", |w| {
        w.module(&[("main.go", USES_B), ("b/doc.go", "package b\n")])?;
        w.files(&[("elsewhere/b.go", B)])?;
        w.link("src/b/b.go", "../../elsewhere/b.go")
    }),
    quick("module_file_behind_a_link", |w| {
        w.files(&[
            ("src/main.go", MAIN),
            ("elsewhere/the.mod", "module example.com/m\n\ngo 1.24\n"),
        ])?;
        w.link("src/go.mod", "../elsewhere/the.mod")
    }),
    quick("links_that_lead_nowhere", |w| {
        w.packages(&["./..."]);
        w.module(&[("main.go", MAIN)])?;
        w.link("src/gone.txt", "nowhere.txt")?;
        w.link("src/gone", "nowhere")
    }),
    quick("names_with_spaces", |w| {
        w.work_in("my code/the module");
        w.packages(&["./..."]);
        w.files(&[
            (
                "my code/the module/go.mod",
                "module example.com/m\n\ngo 1.24\n",
            ),
            ("my code/the module/main.go", USES_B),
            ("my code/the module/b/b.go", B),
            (
                "my code/the module/b/a file.go",
                "package b\n\nconst C = 1\n",
            ),
        ])
    }),
    quick("names_beyond_ascii", |w| {
        w.work_in("\u{4ee3}\u{7801}/m\u{f6}dul");
        w.files(&[
            (
                "\u{4ee3}\u{7801}/m\u{f6}dul/go.mod",
                "module example.com/m\n\ngo 1.24\n",
            ),
            ("\u{4ee3}\u{7801}/m\u{f6}dul/main.go", USES_B),
            ("\u{4ee3}\u{7801}/m\u{f6}dul/b/\u{e9}.go", B),
        ])
    }),
    quick("working_folder_below_the_module", |w| {
        w.work_in("src/cmd/one");
        w.packages(&[".", "../two"]);
        w.module(&[
            ("cmd/one/main.go", USES_B),
            ("cmd/two/main.go", MAIN),
            ("b/b.go", B),
        ])
    }),
    quick("working_folder_beside_the_module", |w| {
        w.work_in("src/docs");
        w.packages(&["example.com/m"]);
        w.module(&[("main.go", MAIN), ("docs/text.md", "text 1\n")])
    }),
    quick("no_compiler_on_path", |w| {
        w.only_tools(&["go", "git", "pkg-config"])?;
        w.module(&[("main.go", MAIN)])
    }),
    quick("tools_of_its_own", |w| {
        w.tool("gcc", "exec /usr/bin/gcc -DTOOL=1 \"$@\"")?;
        let declared = ("gofarm.toml", "compilers = [\"../bin/gcc\"]\n");
        w.module(&[declared, ("main.go", "package main\n\n/*\n#ifndef TOOL\n#define TOOL 0\n#endif\n*/\nimport \"C\"\n\nfunc main() { println(int(C.TOOL)) }\n")])
    }),
];
