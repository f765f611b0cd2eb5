//! The real compiler: two packages, the second importing the first from the store.

use std::path::PathBuf;
use std::process::Command;

use gofarm_identity::PACKAGE_BUILD_ID;
use gofarm_proto::Digest;
use gofarm_proto::v1::{self, step::Step};
use gofarm_worker::Execution;

use crate::farm::*;

/// What `go` on PATH calls its compiler.
fn compiler() -> PathBuf {
    #[allow(clippy::disallowed_methods, reason = "asking go where its compiler is")]
    let asked = Command::new("go")
        .args(["tool", "-n", "compile"])
        .output()
        .unwrap();
    assert!(asked.status.success(), "{asked:?}");
    PathBuf::from(String::from_utf8(asked.stdout).unwrap().trim())
}

/// Compiles one file as cmd/go would, with export data and object code apart.
fn compile(
    farm: &Farm,
    compiler: Digest,
    package: &str,
    source: &str,
    import: Option<Digest>,
) -> v1::Action {
    let mut compile = run(&[
        "/__gofarm__/goroot/compile",
        "-o",
        "/__gofarm__/w/export",
        "-linkobj",
        "/__gofarm__/w/object",
        "-trimpath",
        "/__gofarm__/w=>;/__gofarm__/main=>example.com",
        "-p",
        package,
        "-complete",
        "-buildid",
        PACKAGE_BUILD_ID,
        "-importcfg",
        "/__gofarm__/w/importcfg",
        "-pack",
        "/__gofarm__/main/a.go",
    ]);
    compile.compiler_concurrency = true;
    let mut importcfg = "# import config\n".to_owned();
    let mut inputs = vec![known("/__gofarm__/goroot/compile", compiler)];
    if let Some(import) = import {
        importcfg.push_str("packagefile example.com/p=/__gofarm__/in/1/export\n");
        inputs.push(v1::Input {
            by_reference: true,
            ..known("/__gofarm__/in/1/export", import)
        });
    }
    inputs.push(farm.input("/__gofarm__/main/a.go", source.as_bytes()));
    v1::Action {
        label: format!("compile {package}"),
        kind: v1::Kind::Compile.into(),
        package: package.to_owned(),
        steps: vec![
            write("/__gofarm__/w/importcfg", &importcfg),
            write("/__gofarm__/w/extra.o", "an object of an assembler\n"),
            step(Step::Run(compile)),
            step(Step::Pack(v1::Pack {
                archive: "/__gofarm__/w/object".to_owned(),
                members: strings(&["/__gofarm__/w/extra.o", "/__gofarm__/w/none.o"]),
                drop_missing: strings(&["/__gofarm__/w/none.o"]),
            })),
            step(Step::GoArchive(v1::GoArchive {
                export: "/__gofarm__/w/export".to_owned(),
                object: "/__gofarm__/w/object".to_owned(),
                build_id: PACKAGE_BUILD_ID.to_owned(),
            })),
        ],
        inputs,
        outputs: vec![
            output("export", "/__gofarm__/w/export"),
            output("object", "/__gofarm__/w/object"),
        ],
        ..Default::default()
    }
}

#[tokio::test]
async fn packages_compile_alike_with_and_without_a_sandbox() {
    let path = compiler();
    let mut results: Vec<[Execution; 2]> = Vec::new();
    for farm in Farm::both() {
        let compiler = farm.store.put_file(&path).unwrap();
        let p = compile(
            &farm,
            compiler,
            "example.com/p",
            "package p\n\nfunc F() int { return 1 }\n",
            None,
        );
        let p = farm.execute(&p).await.unwrap();
        assert_eq!(log(&p), "");
        assert_eq!(p.result.content_id.len(), 20);
        let object = farm.output(&p, "object").unwrap();
        let names: Vec<String> = gofarm_identity::archive::members(&object)
            .unwrap()
            .into_iter()
            .map(|member| member.name)
            .collect();
        assert_eq!(names, ["_go_.o", "extra.o"]);
        let source = "package q\n\nimport \"example.com/p\"\n\nvar X = p.F()\n";
        let q = compile(
            &farm,
            compiler,
            "example.com/q",
            source,
            digest(&p, "export"),
        );
        let q = farm.execute(&q).await.unwrap();
        assert_eq!(q.result.exit_code, 0, "{}", log(&q));
        results.push([p, q]);
    }
    for pair in results.windows(2) {
        for (a, b) in pair[0].iter().zip(&pair[1]) {
            assert_eq!(a.result.outputs, b.result.outputs);
            assert_eq!(a.result.content_id, b.result.content_id);
        }
    }
}

#[tokio::test]
async fn what_the_compiler_says_has_virtual_paths() {
    let path = compiler();
    for farm in Farm::both() {
        let compiler = farm.store.put_file(&path).unwrap();
        let broken = compile(
            &farm,
            compiler,
            "example.com/p",
            "package p\n\nvar x int = \"\"\n",
            None,
        );
        let execution = farm.execute(&broken).await.unwrap();
        assert_ne!(execution.result.exit_code, 0);
        let text = log(&execution);
        assert!(text.contains(":3:13: cannot use \"\""), "{text}");
        assert!(
            !text.contains(farm.store.root().to_str().unwrap()),
            "{text}"
        );
        assert!(execution.undeclared.is_empty());

        // An export file that is not one.
        let source = "package q\n\nimport \"example.com/p\"\n\nvar X = p.F()\n";
        let garbage = farm.store.put_bytes(b"garbage").unwrap();
        let broken = compile(&farm, compiler, "example.com/q", source, Some(garbage));
        let text = log(&farm.execute(&broken).await.unwrap());
        assert!(
            text.contains("/__gofarm__/main/a.go:3:8: could not import example.com/p"),
            "{text}"
        );
    }
}
