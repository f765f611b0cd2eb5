//! What comes from others: from where, under which licences, how often, and whether it is used.

use std::collections::{BTreeMap, BTreeSet};

use toml::Table;

use crate::licence::is_met;
use crate::repository::{Package, cargo, files, members, packages, page};
use crate::sources::words_of_code;

/// Licences that let programs be given away as gofarm's licence (Apache-2.0) does.
const LICENCES: [&str; 11] = [
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    // Of data: the list of certificate authorities.
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Zlib",
];

/// Where packages may come from. A mirror is a setting of a machine: cargo writes this name into the lock file all the same.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Crates that come in several versions, and for whom. A crate that is built twice costs time, and types of one version are not
/// those of the other.
const SEVERAL: [(&str, &str); 20] = [
    ("base64", "tonic, and newer ones"),
    ("block-buffer", "sha2 0.10, and the md-5 of object_store"),
    ("cpufeatures", "sha2 0.10, and blake3"),
    ("crypto-common", "sha2 0.10, and the md-5 of object_store"),
    ("digest", "sha2 0.10, and the md-5 of object_store"),
    ("getrandom", "ring and bolero, opentelemetry, and tempfile"),
    ("hashbrown", "the petgraph of prost-build, and indexmap"),
    ("itertools", "criterion, prost, and object_store"),
    ("logos", "two layers of protox"),
    ("logos-codegen", "two layers of protox"),
    ("logos-derive", "two layers of protox"),
    ("r-efi", "getrandom, on systems that we do not build for"),
    ("rand", "bolero, opentelemetry, and object_store"),
    ("rand_chacha", "bolero, and opentelemetry"),
    ("rand_core", "bolero, opentelemetry, and object_store"),
    ("syn", "bolero, prost and tonic, and newer ones"),
    ("synstructure", "the certificates of tests, and newer ones"),
    ("toml_datetime", "the derive macros of bolero, and toml"),
    ("windows-sys", "ring, on a system that we do not build for"),
    (
        "winnow",
        "the derive macros of bolero, and two layers of toml",
    ),
];

/// Dependencies that no source names, and why they are there.
const UNNAMED: [(&str, &str, &str); 3] = [
    (
        "proto",
        "tonic",
        "named by the code that is made of the protos",
    ),
    (
        "proto",
        "tonic-prost",
        "named by the code that is made of the protos",
    ),
    (
        "store",
        "reqwest",
        "chooses the TLS of object_store's HTTP client",
    ),
];

/// What the `gofarm` command is made of, of the crates here. Nothing else of a farm's processes is in it.
const CLIENT: [&str; 14] = [
    "amount",
    "client",
    "engine",
    "identity",
    "plan",
    "printable",
    "proto",
    "queue",
    "rpc",
    "store",
    "sys",
    "timing",
    "tree",
    "worker",
];

/// Of others: parts of schedulers and workers. A command that people install has none of them.
const NOT_IN_THE_CLIENT: [&str; 8] = [
    "clap",
    "deadpool-redis",
    "object_store",
    "opentelemetry",
    "prometheus-client",
    "redis",
    "reqwest",
    "tracing-subscriber",
];

fn lock() -> Vec<Table> {
    let lock: Table = page("Cargo.lock").parse().unwrap();
    let packages = lock["package"].as_array().unwrap().iter();
    packages
        .map(|package| package.as_table().unwrap().clone())
        .collect()
}

#[test]
fn licences_are_such_that_programs_can_be_given_away() {
    for package in packages() {
        assert!(
            is_met(&package.licence, &LICENCES),
            "{} {} is licensed {:?}; do without it, or add the licence to LICENCES with whoever answers for that",
            package.name,
            package.version,
            package.licence
        );
    }
}

#[test]
fn packages_come_from_the_public_registry_alone() {
    for package in lock() {
        let name = &package["name"];
        let Some(source) = package.get("source") else {
            continue;
        };
        assert_eq!(source.as_str(), Some(REGISTRY), "{name:?}");
        assert!(package.contains_key("checksum"), "{name:?}");
    }
    let locked: BTreeSet<String> = lock()
        .iter()
        .filter(|package| !package.contains_key("source"))
        .map(|package| package["name"].as_str().unwrap().to_owned())
        .collect();
    let ours = members().into_values().map(|package| package.name.clone());
    assert_eq!(locked, ours.collect());
    // Settings of a machine are not the repository's.
    let settings = files().iter().find(|file| file.contains(".cargo/config"));
    assert_eq!(settings, None);
}

#[test]
fn no_crate_is_built_in_several_versions_without_a_reason() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in lock() {
        let word = |key: &str| package[key].as_str().unwrap().to_owned();
        versions
            .entry(word("name"))
            .or_default()
            .insert(word("version"));
    }
    for (name, versions) in &versions {
        assert!(
            versions.len() == 1 || SEVERAL.iter().any(|(known, _)| known == name),
            "{name} comes in {versions:?}: ask `cargo tree -i {name}@VERSION --workspace` for whom, and use one, or say the reason in SEVERAL"
        );
    }
    for (name, _) in SEVERAL {
        assert!(
            versions
                .get(name)
                .is_some_and(|versions| versions.len() > 1),
            "{name} comes in one version: take it out of SEVERAL"
        );
    }
}

/// What sources of a package can name: all of them for tests, else those of its library and programs.
fn words_of(package: &Package, for_tests: bool) -> BTreeSet<String> {
    let folder = format!("{}/", package.folder.as_deref().unwrap());
    let is_built = |file: &str| {
        ["src/", "build.rs"]
            .iter()
            .any(|part| file.starts_with(part))
    };
    let sources = files().iter().filter(|file| {
        let inside = file.strip_prefix(&folder);
        file.ends_with(".rs") && inside.is_some_and(|inside| for_tests || is_built(inside))
    });
    sources
        .flat_map(|file| words_of_code(&page(file)))
        .collect()
}

#[test]
fn what_a_manifest_asks_for_is_used() {
    let mut unnamed = BTreeSet::new();
    for (folder, package) in members() {
        let (built, all) = (words_of(package, false), words_of(package, true));
        for dependency in &package.dependencies {
            let words = if dependency.is_for_tests {
                &all
            } else {
                &built
            };
            // A package's own tests ask for more features of it.
            if dependency.name != package.name && !words.contains(&dependency.crate_name) {
                unnamed.insert((folder, dependency.name.as_str()));
            }
        }
    }
    let excused: BTreeSet<(&str, &str)> =
        UNNAMED.iter().map(|(of, name, _)| (*of, *name)).collect();
    let unused: Vec<_> = unnamed.difference(&excused).collect();
    assert!(
        unused.is_empty(),
        "no source names these dependencies: take them out, or say in UNNAMED what they do: {unused:?}"
    );
    let needless: Vec<_> = excused.difference(&unnamed).collect();
    assert!(needless.is_empty(), "take out of UNNAMED: {needless:?}");
}

#[test]
fn what_the_workspace_names_some_member_uses() {
    let root: Table = page("Cargo.toml").parse().unwrap();
    let named = root["workspace"]["dependencies"].as_table().unwrap();
    let asked: BTreeSet<&str> = members()
        .into_values()
        .flat_map(|package| &package.dependencies)
        .map(|dependency| dependency.name.as_str())
        .collect();
    for name in named.keys() {
        assert!(
            asked.contains(name.as_str()),
            "no member uses {name} of the workspace's dependencies"
        );
    }
}

#[test]
fn the_client_has_nothing_of_a_farms_processes() {
    // As somebody gets it who installs it: its own features, and none that others here ask for.
    let tree = cargo(&[
        "tree",
        "--locked",
        "--package=gofarm-client",
        "--edges=normal",
        "--prefix=none",
        "--format={p}",
    ]);
    let names: BTreeSet<&str> = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(names.len() > 50, "{names:?}");
    for name in &names {
        if let Some(ours) = name.strip_prefix("gofarm-") {
            assert!(CLIENT.contains(&ours), "the client depends on {name}");
        }
        assert!(
            !NOT_IN_THE_CLIENT.contains(name),
            "the client depends on {name}: cargo tree -p gofarm-client -e normal -i {name}"
        );
    }
}
