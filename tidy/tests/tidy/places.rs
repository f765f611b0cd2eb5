//! What is committed names no place of the machine that it was written on.

use crate::repository::{files, root, text};

/// Hosts that everybody reaches, or that stand for others in texts and tests. A mirror or a registry of somebody's own is none.
const HOSTS: [&str; 21] = [
    "bford.info",
    "camshaft.github.io",
    "cla.developers.google.com",
    "crates.io",
    "datatracker.ietf.org",
    "doc.rust-lang.org",
    "docs.github.com",
    "docs.rs",
    "editorconfig.org",
    "github.com",
    "go.dev",
    "json-schema.org",
    "keepachangelog.com",
    "pkg.go.dev",
    "proxy.golang.org",
    "rustup.rs",
    "semver.org",
    "spdx.org",
    "sum.golang.org",
    "www.apache.org",
    "www.conventionalcommits.org",
];

/// Whether a host stands for one of the reader's, or is this machine.
fn is_nobodys(host: &str) -> bool {
    let examples = [
        "example.com",
        "example.org",
        ".example",
        ".test",
        ".invalid",
    ];
    // One without a dot is a name of a text or of a compose file.
    !host.contains('.')
        || examples.iter().any(|end| host.ends_with(end))
        || host
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// The hosts of the addresses in a text.
fn hosts(text: &str) -> impl Iterator<Item = &str> {
    ["http://", "https://"].into_iter().flat_map(|scheme| {
        text.split(scheme).skip(1).map(|rest| {
            let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            rest[..end].trim_end_matches('.')
        })
    })
}

#[test]
fn addresses_are_everybodys() {
    for file in files() {
        // Sources of packages are looked at in the lock files' own rules.
        let Some(text) = text(file).filter(|_| !file.ends_with(".lock")) else {
            continue;
        };
        for host in hosts(&text) {
            assert!(
                HOSTS.contains(&host) || is_nobodys(host),
                "{file} names {host}: if everybody reaches it, add it to HOSTS"
            );
        }
    }
}

/// Absolute paths that only this machine has: where it keeps this repository, and the home of whoever works there.
fn places() -> Vec<String> {
    let mut places = vec![root().canonicalize().unwrap().display().to_string()];
    places.extend(std::env::var("HOME").ok());
    places.extend(std::env::var("CARGO_TARGET_DIR").ok());
    // Of a short one nothing can be said: it is any folder's.
    places.retain(|place| place.len() > 3 && place.starts_with('/'));
    // And what is in them for sure.
    places
        .iter()
        .map(|place| format!("{}/", place.trim_end_matches('/')))
        .collect()
}

#[test]
fn no_path_of_this_machine_is_committed() {
    for file in files() {
        let Some(text) = text(file) else {
            continue;
        };
        for place in places() {
            let mut found = text.match_indices(&place);
            // Part of a longer path it is another one.
            let found = found.find(|(at, _)| {
                let before = text[..*at].chars().next_back();
                !before.is_some_and(|c| c.is_alphanumeric() || "._-~}>$".contains(c))
            });
            if let Some((at, _)) = found {
                let line = text[..at].matches('\n').count() + 1;
                panic!("{file}:{line} names {place}, a place of this machine");
            }
        }
    }
}
