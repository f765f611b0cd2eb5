//! Pages: what they name is there, and they say the same as the files that they tell of.

use std::collections::BTreeSet;

use toml::Table;

use crate::repository::{files, members, page};

const ARCHITECTURE: &str = "docs/architecture.md";
const DECISIONS: &str = "docs/decisions/";

/// Ends of names of files as the repository has them.
const ENDS: [&str; 9] = [
    ".lock", ".lua", ".md", ".proto", ".rs", ".sh", ".toml", ".yaml", ".yml",
];

/// Files that pages tell of and that users have.
const OF_USERS: [&str; 1] = ["gofarm.toml"];

fn pages() -> impl Iterator<Item = &'static String> {
    let is_a_page = |file: &&String| {
        file.ends_with(".md")
            && (!file.contains('/') || file.starts_with("docs/") || file.starts_with("examples/"))
    };
    files().iter().filter(is_a_page)
}

/// The prose of a page: without blocks of code.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// What stands in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// What `a/{b,c}.rs` stands for.
fn unfolded(name: &str) -> Vec<String> {
    let Some((before, rest)) = name.split_once('{') else {
        return vec![name.to_owned()];
    };
    let (among, after) = rest.split_once('}').unwrap_or((rest, ""));
    among
        .split(',')
        .map(|one| format!("{before}{one}{after}"))
        .collect()
}

/// Whether a text is meant for a path of the repository. Of `goflags.rs` the page's reader knows where it is.
fn is_ours(name: &str, page: &str) -> bool {
    let is_path = |c: char| c.is_ascii_alphanumeric() || "_-./*".contains(c);
    if !name.chars().all(is_path) || name.starts_with(['/', '.']) || OF_USERS.contains(&name) {
        return false;
    }
    let first = name.split('/').next().unwrap();
    let begins_here = files()
        .iter()
        .any(|file| file.split('/').next() == Some(first));
    ENDS.iter().any(|end| name.ends_with(end))
        || (name.contains('/') && begins_here && !name.split('/').any(|part| part == "bin"))
        || (page == ARCHITECTURE && name.ends_with('/') && !name.starts_with("target/"))
}

/// Whether there is a file or a folder of this name somewhere.
fn is_there(name: &str) -> bool {
    let (begin, end) = name.split_once('*').unwrap_or((name, ""));
    let begin = format!("/{begin}");
    files().iter().any(|file| {
        let file = format!("/{file}");
        match name.contains('*') {
            true => file.contains(&begin) && file.ends_with(end),
            false => {
                file.ends_with(&begin)
                    || file.contains(&format!("{}/", begin.trim_end_matches('/')))
            }
        }
    })
}

#[test]
fn files_that_pages_name_are_there() {
    for page_name in pages() {
        let text = prose(&page(page_name));
        for name in quoted(&text).flat_map(unfolded) {
            assert!(
                !is_ours(&name, page_name) || is_there(&name),
                "{page_name} names {name}, which is not there"
            );
        }
    }
}

/// What a heading is called in an address: as GitHub makes it.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-' || *c == '_')
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// A path below a folder, with `..` in it.
fn below(folder: &str, link: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in link.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." | "" => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[test]
fn links_lead_somewhere() {
    for name in pages() {
        let text = prose(&page(name));
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        for link in text.split("](").skip(1) {
            let link = link.split(')').next().unwrap();
            if link.contains("://") {
                continue;
            }
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => name.clone(),
                path => below(folder, path),
            };
            let folder = format!("{target}/");
            let is_folder = files().iter().any(|file| file.starts_with(&folder));
            assert!(files().contains(&target) || is_folder, "{name}: {link}");
            if !heading.is_empty() {
                let page = prose(&page(&target));
                let mut headings = page.lines().filter(|line| line.starts_with('#'));
                assert!(
                    headings.any(|line| anchor(line) == heading),
                    "{name}: {link}"
                );
            }
        }
    }
}

#[test]
fn packages_that_commands_name_are_there() {
    let packages: BTreeSet<&str> = members()
        .into_values()
        .map(|package| package.name.as_str())
        .collect();
    let scripts = ["test", "fuzz", ".ci/run", "Dockerfile"];
    for file in pages().map(String::as_str).chain(scripts) {
        let text = page(file);
        let words: Vec<&str> = text
            .split(|c: char| c.is_whitespace() || c == '`')
            .collect();
        for pair in words.windows(2) {
            if ["-p", "--package"].contains(&pair[0]) && pair[1].starts_with("gofarm-") {
                let name = pair[1].trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
                assert!(
                    packages.contains(name) || name == "gofarm",
                    "{file}: {} {name}",
                    pair[0]
                );
            }
        }
    }
}

#[test]
fn decisions_have_one_form_and_are_found() {
    let architecture = page(ARCHITECTURE);
    let mut numbers = BTreeSet::new();
    for file in files().iter().filter(|file| file.starts_with(DECISIONS)) {
        let name = file.strip_prefix(DECISIONS).unwrap();
        let (number, _) = name
            .split_once('-')
            .unwrap_or_else(|| panic!("{file} has no number"));
        let is_number = number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit());
        assert!(
            is_number && numbers.insert(number),
            "{file}: its number is none, or another's"
        );
        let text = page(file);
        assert!(text.starts_with("# "), "{file} has no title");
        let headings: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("## "))
            .collect();
        assert_eq!(headings, ["Context", "Decision", "Consequences"], "{file}");
        assert!(
            architecture.contains(&format!("(decisions/{name})")),
            "{ARCHITECTURE} does not link to {file}"
        );
    }
    assert!(!numbers.is_empty());
}

#[test]
fn the_changelog_begins_with_what_is_to_come() {
    let text = page("CHANGELOG.md");
    let mut headings = text.lines().filter(|line| line.starts_with('#'));
    assert_eq!(headings.next(), Some("# Changelog"));
    assert_eq!(headings.next(), Some("## [Unreleased]"));
}

#[test]
fn the_oldest_rust_is_the_same_everywhere() {
    let root: Table = page("Cargo.toml").parse().unwrap();
    let version = root["workspace"]["package"]["rust-version"]
        .as_str()
        .unwrap();
    for (file, says) in [
        ("README.md", format!("Rust ({version} or later)")),
        ("CONTRIBUTING.md", format!("Rust ({version} or later)")),
        ("Dockerfile", format!("rust:{version}.")),
    ] {
        assert!(page(file).contains(&says), "{file} does not say {says:?}");
    }
}

#[test]
fn what_a_change_must_pass_is_the_readmes_command() {
    let readme = page("README.md");
    let (_, tests) = readme.split_once("## Test it").unwrap();
    assert_eq!(tests.split("```").nth(1).unwrap().trim(), "./test");
    let ci = page(".ci/run");
    assert_eq!(ci.trim_end().lines().last(), Some("./test"));
}
