//! The modules of a build that lie in folders of this machine: those of a workspace, and those that replace others.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The folders that a go.work or go.mod names, and the folders that the modules there name, and so on.
///
/// Every word that looks like a path counts, whatever directive it stands in: one too many only makes a plan rest on more.
pub(crate) fn local_modules(files: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut pending: Vec<PathBuf> = files.to_vec();
    while let Some(file) = pending.pop() {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let base = file.parent().unwrap_or(Path::new("/"));
        for word in text.lines().flat_map(words) {
            let folder = base.join(word);
            if let Ok(folder) = folder.canonicalize()
                && folder.is_dir()
                && found.insert(folder.clone())
            {
                pending.push(folder.join("go.mod"));
            }
        }
    }
    found
}

/// The words of a line that name a place in the file system (golang.org/x/mod/modfile: `IsDirectoryPath`).
fn words(line: &str) -> impl Iterator<Item = &str> {
    let line = line.split("//").next().unwrap_or_default();
    line.split(|c: char| c.is_whitespace() || "\"`()".contains(c))
        .filter(|word| {
            matches!(*word, "." | "..")
                || ["./", "../", "/"]
                    .iter()
                    .any(|start| word.starts_with(start))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_found_through_workspaces_and_replacements() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for name in ["w", "w/a", "b", "c d"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        fs::write(
            root.join("w/ci.work"),
            "go 1.24\nuse (\n\t./a // one\n)\nuse ../b\n",
        )
        .unwrap();
        fs::write(root.join("b/go.mod"), "module b\nreplace x => ../w/a\n").unwrap();
        assert_eq!(
            local_modules(&[root.join("w/ci.work")]),
            BTreeSet::from([root.join("w/a"), root.join("b")])
        );
    }
}
