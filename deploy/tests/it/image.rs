//! The images fit the programs and the workspace.

use crate::dockerfile::{self, Stage};
use crate::program::Accepted;
use crate::root;

const UID: &str = "10001:10001";

fn stage(name: &str) -> Stage {
    dockerfile::read().stages[name].clone()
}

#[test]
fn images_start_programs_with_flags_that_they_have() {
    for (target, program) in [
        ("scheduler", "gofarm-scheduler"),
        ("worker", "gofarm-worker"),
    ] {
        let stage = stage(target);
        assert_eq!(stage.words("ENTRYPOINT"), ["tini", "--", program]);
        Accepted::by(program).check_args(&stage.words("CMD"));
        let copied = format!("/out/{program} /usr/local/bin/");
        assert!(
            stage.all("COPY").iter().any(|copy| copy.ends_with(&copied)),
            "{target}"
        );
    }
}

#[test]
fn images_are_built_from_packages_that_there_are() {
    let run = stage("build").all("RUN").join("\n");
    let manifests = ["scheduler", "worker"]
        .map(|folder| std::fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap());
    for (manifest, program) in manifests.iter().zip(["gofarm-scheduler", "gofarm-worker"]) {
        assert!(run.contains(&format!("-p {program}")));
        assert!(run.contains(&format!("target/release/{program}")));
        let bin = format!("[[bin]]\nname = \"{program}\"");
        assert!(manifest.contains(&bin) && manifest.contains(&format!("name = \"{program}\"")));
    }
    // The lock file and all members are in the context.
    let ignored = std::fs::read_to_string(root().join(".dockerignore")).unwrap();
    for needed in ["Cargo.toml", "Cargo.lock", "proto", "scheduler", "worker"] {
        assert!(
            !ignored
                .lines()
                .any(|line| line.trim_start_matches('/') == needed)
        );
    }
}

#[test]
fn images_run_as_a_user_without_rights_that_owns_the_volumes() {
    for target in ["scheduler", "worker"] {
        let stage = stage(target);
        assert_eq!(stage.all("USER"), [UID], "{target}");
        let setup = stage.all("RUN").join("\n");
        assert!(setup.contains("--uid 10001") && setup.contains("--gid 10001"));
        for volume in stage.words("VOLUME") {
            let owned = setup.split("&&").any(|step| {
                step.contains("install -d -o gofarm")
                    && step.split_whitespace().any(|word| word == volume)
            });
            assert!(owned, "{volume} of {target}");
        }
    }
}

#[test]
fn worker_images_have_a_c_compiler_and_no_go() {
    let setup = stage("worker").all("RUN").join("\n");
    let words: Vec<&str> = setup.split_whitespace().collect();
    assert!(words.contains(&"gcc") && words.contains(&"libc6-dev"));
    assert!(
        !words
            .iter()
            .any(|word| word.contains("golang") || *word == "go")
    );
}

#[test]
fn base_images_are_pinned_and_new_enough() {
    let args = dockerfile::read().args;
    assert_eq!(args.len(), 2);
    for arg in &args {
        let (_, tag) = arg.split_once(':').expect("a version");
        assert!(tag.starts_with(|c: char| c.is_ascii_digit()), "{arg}");
    }
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let version = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "));
    let version = version.unwrap().trim_matches('"');
    assert!(
        args[0].starts_with(&format!("RUST_IMAGE=rust:{version}")),
        "{args:?}, {version}"
    );
}
