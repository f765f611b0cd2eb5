//! Diagnostics beside those of the real `go build`.

use std::path::{Path, PathBuf};

use super::{CgoText, Diagnostics, Subject};

/// A module with a package that does not build, and whose error names a file of another package.
fn module(root: &Path) {
    for (file, content) in [
        ("go.mod", "module example.com/m\n\ngo 1.24\n"),
        (
            "a/x.go",
            "package a\n\nimport \"example.com/m/b\"\n\nvar X int = b.Make()\nvar Y = undefined\n",
        ),
        ("a/sub/keep.txt", ""),
        (
            "b/z.go",
            "package b\n\ntype T struct{}\n\nfunc (t T) M() {}\n\nfunc Make() T { return T{} }\n",
        ),
        ("a/dup.go", "package a\n\nfunc X() {}\n"),
    ] {
        let path = root.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "the go command is what this is compared with"
)]
fn go_build(root: &Path, cwd: &Path) -> String {
    let output = std::process::Command::new("go")
        .args(["build", "example.com/m/a"])
        .current_dir(cwd)
        .env("PWD", cwd)
        .env("GOWORK", root.join("go.work"))
        .env("GOFLAGS", "")
        .env("GOTOOLCHAIN", "local")
        .output()
        .unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn the_text_is_that_of_go_build_wherever_the_user_stands() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().canonicalize().unwrap();
    let root = base.join("repo");
    module(&root);
    // Of the workspace file alone cmd/go learns where the module is, so it can be run from outside.
    std::fs::write(root.join("go.work"), "go 1.24\n\nuse .\n").unwrap();
    let deep = base.join(
        "elsewhere/so/deep/down/that/no/relative/path/is/shorter/than/an/absolute/one/would/be",
    );
    std::fs::create_dir_all(&deep).unwrap();

    let absolute = go_build(&root, &deep);
    let (header, text) = absolute.split_once('\n').unwrap();
    assert_eq!(header, "# example.com/m/a");
    let root_text = root.to_str().unwrap();
    assert!(text.contains(root_text), "{text}");
    let log = text.replace(root_text, "/__gofarm__/main");

    let real = |virtual_root: &str| (virtual_root == "/__gofarm__/main").then(|| root.clone());
    let package = root.join("a");
    let subject = Subject {
        import_path: "example.com/m/a",
        description: "example.com/m/a",
        folder: Some(&package),
    };
    let places: [PathBuf; 6] = [
        root.clone(),
        root.join("a"),
        root.join("a/sub"),
        root.join("b"),
        base.clone(),
        PathBuf::from("/"),
    ];
    for cwd in places.iter().chain([&deep]) {
        let diagnostics = Diagnostics {
            cwd,
            real: &real,
            utf8: true,
        };
        let ours = diagnostics.block(
            &subject,
            log.as_bytes(),
            CgoText::of_release(26, false, false),
        );
        assert_eq!(
            String::from_utf8(ours).unwrap(),
            go_build(&root, cwd),
            "{}",
            cwd.display()
        );
    }
}
