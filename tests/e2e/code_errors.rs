//! Code that does not build: what the user reads, and that nothing wrong is kept.

use insta::assert_snapshot;

use crate::harness::{Site, Summary, shown};

fn broken() -> Site {
    let site = Site::cold();
    site.example("variants/broken");
    site
}

/// The blocks of `# import/path` and what stands below, sorted: failures come in no certain order.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks: Vec<String> = Vec::new();
    for line in text.lines() {
        match blocks.last_mut() {
            Some(block) if !line.starts_with("# ") => block.push_str(&format!("\n{line}")),
            _ => blocks.push(line.to_owned()),
        }
    }
    blocks.sort();
    blocks
}

/// Says of these packages what `go build` says of them.
#[track_caller]
fn as_go_build_says(site: &Site, packages: &[&str]) {
    let mut args = vec!["build", "-trimpath"];
    args.extend(packages);
    let go = site.go(&args).run().code(1);
    args[0] = "submit";
    let gofarm = site.gofarm(&args).run().code(1);
    assert!(!go.stderr.is_empty());
    assert_eq!(blocks(&gofarm.diagnostics()), blocks(&go.stderr));
}

#[test]
fn a_syntax_error() {
    let site = broken();
    as_go_build_says(&site, &["./syntax"]);
    let failed = site.gofarm(&["submit", "./syntax"]).run();
    assert_snapshot!(shown(&site, &failed));
    site.replace("syntax/syntax.go", "if n == 0 \n", "if n == 0 {\n");
    assert_eq!(site.submit(&["./syntax"]).actions.failed, 0);
}

#[test]
fn type_errors_in_two_packages() {
    let site = broken();
    let packages = ["./good", "./typesales", "./typestock", "./dependent"];
    as_go_build_says(&site, &packages);

    let file = site.path("summary.json");
    let flag = format!("--summary-json={}", file.display());
    let mut args = vec!["submit", &flag];
    args.extend(packages);
    let failed = site.gofarm(&args).run().code(1);
    let own: Vec<&str> = failed
        .stderr
        .lines()
        .filter(|line| line.starts_with("gofarm: "))
        .collect();
    assert_eq!(
        own[0],
        "gofarm: skipped compile example.com/broken/dependent: waits for compile example.com/broken/typesales"
    );
    let summary = Summary::read(&file);
    assert_eq!(summary.result, "failed");
    let counts = summary.actions;
    assert_eq!(
        (counts.failed, counts.skipped, counts.cached),
        (2, 1, 1),
        "{counts:?}"
    );

    // A failure is not kept, whatever succeeded is.
    let again = site.gofarm(&args).run().code(1);
    assert_eq!(blocks(&again.diagnostics()), blocks(&failed.diagnostics()));
    site.replace("typesales/sales.go", "\"three\"", "3");
    site.replace("typesales/sales.go", "returned", "1");
    site.replace("typestock/stock.go", "reserve(sku)", "reserve(sku, 1)");
    let fixed = site.submit(&packages);
    assert_eq!((fixed.actions.failed, fixed.actions.skipped), (0, 0));
}

#[test]
fn the_first_failure_ends_a_build_that_is_not_to_keep_going() {
    let site = broken();
    let file = site.path("summary.json");
    for (flag, failed) in [("--keep-going=false", 1), ("--keep-going", 2)] {
        let summary = format!("--summary-json={}", file.display());
        let args = [
            "submit",
            flag,
            &summary,
            "--workers=1",
            "./typesales",
            "./typestock",
        ];
        let finished = site.gofarm(&args).run().code(1);
        assert_eq!(
            blocks(&finished.diagnostics()).len(),
            failed,
            "{}",
            finished.stderr
        );
        assert_eq!(Summary::read(&file).actions.failed as usize, failed);
    }
}

#[test]
fn an_import_cycle() {
    let site = broken();
    as_go_build_says(&site, &["./cyclehen"]);
    let failed = site.gofarm(&["submit", "./cyclehen"]).run();
    assert_snapshot!(shown(&site, &failed));
}

#[test]
fn a_package_of_no_known_module() {
    let site = broken();
    as_go_build_says(&site, &["./missing"]);
    let failed = site.gofarm(&["submit", "./missing"]).run();
    assert_snapshot!(shown(&site, &failed));
}

#[test]
fn a_package_that_its_module_does_not_have() {
    let site = broken();
    as_go_build_says(&site, &["./missinglocal"]);
    let failed = site.gofarm(&["submit", "./missinglocal"]).run();
    assert_snapshot!(shown(&site, &failed));
}

#[test]
fn a_missing_sum() {
    let site = Site::cold();
    site.example("variants/nosum");
    as_go_build_says(&site, &[]);
    let failed = site.gofarm(&["submit"]).run();
    assert_snapshot!(shown(&site, &failed));
}

#[test]
fn c_code_that_does_not_compile() {
    let site = Site::new().module(&[
        ("p.go", "package p\n\n// int twice(int n);\nimport \"C\"\n\nfunc Twice() int { return int(C.twice(2)) }\n"),
        ("twice.c", "int twice(int n) { return n + m; }\n"),
    ]);
    as_go_build_says(&site, &["."]);
    site.write("twice.c", "int twice(int n) { return n + n; }\n");
    assert_eq!(site.submit(&["."]).actions.failed, 0);
}

#[test]
fn cgo_that_does_not_translate() {
    let site = Site::new().module(&[(
        "p.go",
        "package p\n\n// int twice(int n);\nimport \"C\"\n\nfunc Twice() int { return int(C.thrice(2)) }\n",
    )]);
    as_go_build_says(&site, &["."]);
}

#[test]
fn assembly_that_does_not_assemble() {
    let site = Site::cold().module(&[
        ("p.go", "package p\n\nfunc F()\n"),
        ("f_amd64.s", "TEXT ·F(SB), 4, $0-0\n\tNOSUCH AX\n\tRET\n"),
        ("f_arm64.s", "TEXT ·F(SB), 4, $0-0\n\tNOSUCH R0\n\tRET\n"),
    ]);
    as_go_build_says(&site, &["."]);
}

#[test]
fn a_program_that_does_not_link() {
    let site = Site::cold().module(&[
        (
            "main.go",
            "package main\n\nfunc missing()\n\nfunc main() { missing() }\n",
        ),
        ("empty.s", ""),
    ]);
    as_go_build_says(&site, &["."]);
    let failed = site.gofarm(&["submit"]).run();
    assert_snapshot!(shown(&site, &failed));
}

#[test]
fn a_folder_without_a_module() {
    let site = Site::cold();
    site.write("main.go", "package main\n\nfunc main() {}\n");
    as_go_build_says(&site, &["."]);
}
