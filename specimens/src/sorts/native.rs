//! Assembly, C and C++.

use super::quick;
use crate::specimen::Specimen;

/// A program whose C preamble is this and has `VALUE`.
fn cgo(preamble: &str) -> String {
    format!(
        "package main\n\n/*\n{preamble}\n*/\nimport \"C\"\n\nfunc main() {{ println(int(C.VALUE)) }}\n"
    )
}

#[cfg(target_arch = "x86_64")]
const BODY: &str = "\tMOVQ $VALUE, AX\n\tMOVQ AX, ret+0(FP)\n\tRET\n";
#[cfg(not(target_arch = "x86_64"))]
const BODY: &str = "\tMOVD $VALUE, R0\n\tMOVD R0, ret+0(FP)\n\tRET\n";

pub(super) const ALL: &[Specimen] = &[
    quick("assembly", |w| {
        w.module(&[
            ("main.go", "package main\n\nfunc value() int\n\nfunc main() { println(value()) }\n"),
            ("v.s", &format!("#include \"textflag.h\"\n#include \"own.h\"\n#include \"sub/deep.h\"\n\nTEXT \u{b7}value(SB), NOSPLIT, $0-8\n{BODY}")),
            ("own.h", "#define VALUE 100\n"),
            ("sub/deep.h", "#define DEEP 1\n"),
        ])
    }),
    quick("assembly_by_architecture", |w| {
        let text = format!(
            "#include \"textflag.h\"\n\nTEXT \u{b7}value(SB), NOSPLIT, $0-8\n{}",
            BODY.replace("VALUE", "7")
        );
        w.module(&[
            (
                "main.go",
                "package main\n\nfunc main() { println(value()) }\n",
            ),
            (
                "decl.go",
                "//go:build amd64 || arm64\n\npackage main\n\nfunc value() int\n",
            ),
            (
                "other.go",
                "//go:build !amd64 && !arm64\n\npackage main\n\nfunc value() int { return 1 }\n",
            ),
            ("v_amd64.s", &text),
            ("v_arm64.s", &text),
        ])
    }),
    quick("cgo", |w| {
        w.module(&[
            ("main.go", "package main\n\n// int value(void);\nimport \"C\"\n\nfunc main() { println(int(C.value())) }\n"),
            ("v.c", "int value(void) { return 100; }\n"),
        ])
    }),
    quick("cgo_header", |w| {
        w.module(&[
            ("main.go", &cgo("#include \"own.h\"")),
            (
                "own.h",
                "#include \"second.h\"\n#define VALUE (100 + SECOND)\n",
            ),
            ("second.h", "#define SECOND 1\n"),
        ])
    }),
    quick("cgo_header_of_any_name", |w| {
        w.module(&[
            ("main.go", &cgo("#include \"t.def\"")),
            ("t.def", "#define VALUE 100\n"),
        ])
    }),
    quick("cgo_header_in_any_folder", |w| {
        w.module(&[
            ("main.go", &cgo("#include \"_inc/t.h\"")),
            (
                "_inc/t.h",
                "#include \"../.hid/u.x\"\n#define VALUE (100 + U)\n",
            ),
            (".hid/u.x", "#define U 1\n"),
        ])
    }),
    quick("cgo_include_folders_in_order", |w| {
        w.module(&[
            (
                "main.go",
                &cgo("#cgo CFLAGS: -I${SRCDIR}/_a -I${SRCDIR}/_b -I${SRCDIR}/none\n#include <x.h>"),
            ),
            ("_a/other.h", "#define OTHER 1\n"),
            ("_b/x.h", "#define VALUE 100\n"),
        ])
    }),
    quick("cgo_has_include", |w| {
        w.module(&[("main.go", &cgo("#if __has_include(\"opt.def\")\n#include \"opt.def\"\n#else\n#define VALUE 100\n#endif"))])
    }),
    quick("cgo_computed_include", |w| {
        w.module(&[
            ("main.go", &cgo("#define NAME \"n.h\"\n#include NAME")),
            ("n.h", "#define VALUE 100\n"),
        ])
    }),
    quick("cgo_header_outside_the_module", |w| {
        w.files(&[
            (
                "shared/include/s.h",
                "#include \"deeper/t.h\"\n#define VALUE (100 + T)\n",
            ),
            ("shared/include/deeper/t.h", "#define T 1\n"),
        ])?;
        w.module(&[(
            "main.go",
            &cgo("#cgo CFLAGS: -I${SRCDIR}/../shared/include\n#include \"s.h\""),
        )])
    }),
    quick("cgo_pkg_config", |w| {
        w.files(&[
            ("lib/pkgconfig/spec.pc", "prefix=${pcfiledir}/..\nName: spec\nDescription: a library\nVersion: 1.2\nRequires: base\nCflags: -DVALUE=100 -DSPEC=1\nLibs: -lm\n"),
            ("lib/pkgconfig/base.pc", "Name: base\nDescription: its base\nVersion: 1.0\nCflags: -DBASE=1\n"),
        ])?;
        w.env("PKG_CONFIG_PATH", "ROOT/lib/pkgconfig");
        w.module(&[("main.go", &cgo("#cgo pkg-config: spec"))])
    }),
    quick("cgo_pkg_config_without_the_library", |w| {
        w.env("PKG_CONFIG_PATH", "ROOT/lib/pkgconfig");
        w.module(&[("main.go", &cgo("#cgo pkg-config: spec"))])
    }),
    quick("cgo_cxx", |w| {
        w.module(&[
            ("main.go", "package main\n\n// int value(void);\nimport \"C\"\n\nfunc main() { println(int(C.value())) }\n"),
            ("v.cpp", "#include \"v.hpp\"\n\nextern \"C\" int value(void) { return V<100>::value; }\n"),
            ("v.hpp", "template <int N> struct V { static const int value = N; };\n"),
        ])
    }),
    quick("cgo_other_languages_ignored", |w| {
        w.module(&[
            ("main.go", &cgo("#define VALUE 100")),
            ("objective_darwin.m", "this is nothing\n"),
            ("v_windows.c", "this is nothing\n"),
            ("w.c", "//go:build nothing\n\nthis is nothing\n"),
        ])
    }),
    quick("cgo_libraries", |w| {
        w.module(&[(
            "main.go",
            "package main\n\n// #cgo LDFLAGS: -lm\n// #include <math.h>\nimport \"C\"\n\nfunc main() { println(float64(C.cos(1))) }\n",
        )])
    }),
    quick("cgo_flags_by_platform", |w| {
        w.module(&[("main.go", &cgo("#cgo CFLAGS: -DBASE=1\n#cgo linux CFLAGS: -DVALUE=100\n#cgo !linux CFLAGS: -DVALUE=2\n#cgo extra CFLAGS: -DVALUE=3"))])
    }),
    quick("cgo_flags_of_the_environment", |w| {
        w.env("CGO_CFLAGS", "-O1 -DVALUE=100");
        w.module(&[("main.go", &cgo("// nothing"))])
    }),
    quick("cgo_calls_back", |w| {
        w.module(&[
            ("main.go", "package main\n\n// void run(void);\nimport \"C\"\n\n//export value\nfunc value() C.int { return 100 }\n\nfunc main() { C.run() }\n"),
            ("run.c", "#include <stdio.h>\n#include \"_cgo_export.h\"\n\nvoid run(void) { printf(\"%d\\n\", value()); fflush(stdout); }\n"),
        ])
    }),
    quick("cgo_or_not", |w| {
        w.env("CGO_ENABLED", "0");
        w.module(&[
            ("main.go", "package main\n\nfunc main() { println(value()) }\n"),
            ("with.go", "package main\n\n// static int v(void) { return 1; }\nimport \"C\"\n\nfunc value() int { return int(C.v()) }\n"),
            ("without.go", "//go:build !cgo\n\npackage main\n\nfunc value() int { return 2 }\n"),
        ])
    }),
    quick("cgo_in_two_packages", |w| {
        w.packages(&["./..."]);
        let package = |name: &str, value: u32| {
            format!(
                "package {name}\n\n// #include \"../shared/s.h\"\n// static int v(void) {{ return S + {value}; }}\nimport \"C\"\n\nfunc V() int {{ return int(C.v()) }}\n"
            )
        };
        w.module(&[
            ("main.go", "package main\n\nimport (\n\t\"example.com/m/one\"\n\t\"example.com/m/two\"\n)\n\nfunc main() { println(one.V(), two.V()) }\n"),
            ("one/one.go", &package("one", 1)),
            ("two/two.go", &package("two", 2)),
            ("shared/s.h", "#define S 100\n"),
        ])
    }),
    quick("c_without_cgo", |w| {
        w.module(&[
            ("main.go", "package main\n\nfunc main() { println(100) }\n"),
            ("v.c", "int value(void) { return 100; }\n"),
        ])
    }),
];
