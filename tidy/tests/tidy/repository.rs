//! What there is: the files of the repository, and the workspace as cargo sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// All files that belong to it, by their paths below the root, with `/`.
pub fn files() -> &'static BTreeSet<String> {
    static FILES: OnceLock<BTreeSet<String>> = OnceLock::new();
    FILES.get_or_init(|| {
        let mut files = BTreeSet::new();
        below(root(), "", &mut files);
        assert!(files.contains("Cargo.lock"), "{files:?}");
        files
    })
}

/// As .gitignore has it.
fn is_made(path: &str, folder: &Path) -> bool {
    let name = path.rsplit('/').next().unwrap();
    // What gofarm builds, coverage, and any target folder of cargo's.
    name == "bin" && !path.contains("/src/")
        || [".git", "target"].contains(&path)
        || path.ends_with(".profraw")
        || folder.join("CACHEDIR.TAG").exists()
}

fn below(folder: &Path, prefix: &str, files: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = format!("{prefix}{name}");
        if is_made(&path, &entry.path()) {
            continue;
        }
        match entry.file_type().unwrap().is_dir() {
            true => below(&entry.path(), &format!("{path}/"), files),
            false => {
                files.insert(path);
            }
        }
    }
}

/// The content of a file that is text.
pub fn text(path: &str) -> Option<String> {
    String::from_utf8(fs::read(root().join(path)).unwrap()).ok()
}

/// The content of a file that has to be text.
#[track_caller]
pub fn page(path: &str) -> String {
    text(path).unwrap_or_else(|| panic!("{path} is no text"))
}

/// What a cargo command says on stdout.
#[track_caller]
pub fn cargo(args: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    #[allow(clippy::disallowed_methods, reason = "cargo, in the foreground")]
    let output = Command::new(cargo)
        .args(args)
        .current_dir(root())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "cargo {args:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// A package of the workspace or one that it depends on.
#[derive(Debug)]
pub struct Package {
    pub name: String,
    pub version: String,
    /// Its folder below the root; nothing for one of a registry.
    pub folder: Option<String>,
    /// An expression of SPDX.
    pub licence: String,
    pub dependencies: Vec<Dependency>,
}

/// What a manifest asks for.
#[derive(Debug)]
pub struct Dependency {
    /// The package.
    pub name: String,
    /// What sources call it.
    pub crate_name: String,
    /// For tests, benchmarks and examples alone.
    pub is_for_tests: bool,
}

/// Every package that is built on this machine.
pub fn packages() -> &'static [Package] {
    static PACKAGES: OnceLock<Vec<Package>> = OnceLock::new();
    PACKAGES.get_or_init(|| {
        let version = cargo(&["-vV"]);
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        let text = cargo(&[
            "metadata",
            "--locked",
            "--format-version=1",
            "--filter-platform",
            host.unwrap(),
        ]);
        let metadata: Value = serde_json::from_str(&text).unwrap();
        list(&metadata["packages"]).map(package).collect()
    })
}

/// The packages of the workspace, by folder.
pub fn members() -> BTreeMap<&'static str, &'static Package> {
    packages()
        .iter()
        .filter_map(|package| Some((package.folder.as_deref()?, package)))
        .collect()
}

fn package(value: &Value) -> Package {
    let manifest = Path::new(value["manifest_path"].as_str().unwrap());
    let is_ours = value["source"].is_null();
    let folder = is_ours.then(|| {
        let folder: PathBuf = manifest.parent().unwrap().into();
        let folder = folder.strip_prefix(root().canonicalize().unwrap());
        folder.unwrap().to_str().unwrap().to_owned()
    });
    Package {
        name: word(&value["name"]),
        version: word(&value["version"]),
        folder,
        licence: value["license"].as_str().unwrap_or_default().to_owned(),
        dependencies: list(&value["dependencies"]).map(dependency).collect(),
    }
}

fn dependency(value: &Value) -> Dependency {
    let name = word(&value["name"]);
    let called = value["rename"].as_str().unwrap_or(&name);
    Dependency {
        crate_name: called.replace('-', "_"),
        is_for_tests: value["kind"] == "dev",
        name,
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().unwrap().iter()
}

fn word(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
