//! The files that C and assembly sources include from the module's own folders.
//!
//! cmd/go lists the headers of a package's folder and no others. An action sees only what it declares, so
//! `#include` lines are followed here: conservatively, taking every file that a line could mean and nothing
//! of the system's own folders.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use crate::lookups::Lookups;

/// All files below the roots that these sources may include, directly or through each other.
///
/// `folders` are the -I folders that lie below a root.
pub(crate) fn follow(
    lookups: &Lookups,
    sources: &[PathBuf],
    folders: &[PathBuf],
) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut pending: Vec<PathBuf> = sources.to_vec();
    let mut seen: BTreeSet<PathBuf> = sources.iter().cloned().collect();
    while let Some(source) = pending.pop() {
        let Ok(bytes) = lookups.read(&source) else {
            continue;
        };
        let own = source.parent().map(Path::to_path_buf).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        if text.lines().any(is_computed) {
            // Which file a macro names only the compiler knows.
            let folders = std::iter::once(&own).chain(folders);
            for path in folders.flat_map(|folder| headers(lookups, folder)) {
                if seen.insert(path.clone()) {
                    found.insert(path.clone());
                    pending.push(path);
                }
            }
        }
        for name in included(&text) {
            for folder in std::iter::once(&own).chain(folders) {
                let path = normalise(&folder.join(name));
                if lookups.is_file(&path) && seen.insert(path.clone()) {
                    found.insert(path.clone());
                    pending.push(path);
                }
            }
        }
    }
    found
}

/// The names in `#include "x"` and `#include <x>` lines, in cgo preambles too, and in the questions whether a file is
/// there.
pub(crate) fn included(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| {
        let directive = directive(line).unwrap_or_default();
        let asked = ["__has_include_next", "__has_include", "__has_embed"]
            .iter()
            .flat_map(move |question| directive.split(question).skip(1))
            .filter_map(|rest| quoted(rest.trim_start().strip_prefix('(')?));
        ["include_next", "include", "import", "embed"]
            .iter()
            .find_map(|word| quoted(directive.strip_prefix(word)?))
            .into_iter()
            .chain(asked)
    })
}

/// The text behind `#`.
fn directive(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = line.strip_prefix("//").map_or(line, str::trim_start);
    Some(line.strip_prefix('#')?.trim_start())
}

fn quoted(text: &str) -> Option<&str> {
    let text = text.trim_start();
    match text.chars().next()? {
        '"' => text[1..].split('"').next(),
        '<' => text[1..].split('>').next(),
        _ => None,
    }
}

/// `#include HEADER`.
fn is_computed(line: &str) -> bool {
    directive(line)
        .and_then(|rest| rest.strip_prefix("include"))
        .map(|rest| rest.trim_start_matches("_next").trim_start())
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'))
}

/// The headers in a folder and in the folders below it, a few thousand at most.
fn headers(lookups: &Lookups, folder: &Path) -> Vec<PathBuf> {
    const MOST: usize = 4000;
    let mut folders = vec![folder.to_path_buf()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for (name, kind) in lookups.names(&folder).into_iter().flatten() {
            let path = folder.join(name);
            let is_header = path.extension().is_some_and(|ext| {
                ["h", "hh", "hpp", "hxx", "inc", "inl", "def", "c"]
                    .iter()
                    .any(|known| ext == *known)
            });
            if kind.is_dir() {
                folders.push(path);
            } else if is_header {
                found.push(path);
            }
            if found.len() + folders.len() > MOST {
                return found;
            }
        }
    }
    found
}

/// Resolves `.` and `..` in the text, as the compiler's own path is not resolved through links either.
pub(crate) fn normalise(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn includes_are_followed_through_headers_and_folders() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            path
        };
        let go = write(
            "pkg/a.go",
            "/*\n#include \"sub/b.h\"\n  # include <lib.h>\n#include <stdio.h>\n*/\nimport \"C\"\n",
        );
        let b = write("pkg/sub/b.h", "#include \"../c.h\"\n");
        let c = write("pkg/c.h", "#include \"sub/b.h\"\n");
        let lib = write("inc/lib.h", "");
        write("inc/unused.h", "");
        assert_eq!(
            follow(&Lookups::default(), &[go], &[dir.path().join("inc")]),
            BTreeSet::from([b, c, lib])
        );
    }

    #[test]
    fn a_question_for_a_file_and_a_computed_include_are_followed_too() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            path
        };
        let asks = write(
            "asks/a.c",
            "#if defined(X) || __has_include(\"opt.inc\")\n#endif\n",
        );
        let opt = write("asks/opt.inc", "");
        assert_eq!(
            follow(&Lookups::default(), &[asks], &[]),
            BTreeSet::from([opt])
        );
        let computes = write("computes/a.c", "#define H \"in/m.h\"\n#include H\n");
        let header = write("computes/in/m.h", "");
        assert_eq!(
            follow(&Lookups::default(), std::slice::from_ref(&computes), &[]),
            BTreeSet::from([header])
        );
    }
}
