//! The files that C and assembly sources include from the module's own folders.
//!
//! cmd/go lists the headers of a package's folder and no others. An action sees only what it declares, so
//! `#include` lines are followed here: conservatively, taking every file that a line could mean and nothing
//! of the system's own folders.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// All files below the roots that these sources may include, directly or through each other.
///
/// `folders` are the -I folders that lie below a root.
pub(crate) fn follow(sources: &[PathBuf], folders: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut pending: Vec<PathBuf> = sources.to_vec();
    let mut seen: BTreeSet<PathBuf> = sources.iter().cloned().collect();
    while let Some(source) = pending.pop() {
        let Ok(bytes) = std::fs::read(&source) else {
            continue;
        };
        let own = source.parent().map(Path::to_path_buf).unwrap_or_default();
        for name in included(&String::from_utf8_lossy(&bytes)) {
            for folder in std::iter::once(&own).chain(folders) {
                let path = normalise(&folder.join(name));
                if path.is_file() && seen.insert(path.clone()) {
                    found.insert(path.clone());
                    pending.push(path);
                }
            }
        }
    }
    found
}

/// The names in `#include "x"` and `#include <x>` lines, in cgo preambles too.
fn included(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let line = line.trim_start();
        let line = line.strip_prefix("//").map_or(line, str::trim_start);
        let rest = line.strip_prefix('#')?.trim_start();
        let rest = rest
            .strip_prefix("include_next")
            .or_else(|| rest.strip_prefix("include"))
            .or_else(|| rest.strip_prefix("import"))?
            .trim_start();
        match rest.chars().next()? {
            '"' => rest[1..].split('"').next(),
            '<' => rest[1..].split('>').next(),
            _ => None,
        }
    })
}

/// Resolves `.` and `..` in the text, as the compiler's own path is not resolved through links either.
fn normalise(path: &Path) -> PathBuf {
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
            follow(&[go], &[dir.path().join("inc")]),
            BTreeSet::from([b, c, lib])
        );
    }
}
