//! What cmd/go asks of the file system and its trace does not say: files of modules, which it reads under a lock, and what
//! decides the release, the repository and the spelling of folders.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::repository::MARKERS;
use crate::gocmd::GoCommand;
use crate::lookups::Question;
use crate::overlay::Overlay;

/// Names in folders that belong to others, where much comes and goes: above the working folder those that decide which
/// module, workspace and repository is meant, and one that must not be in GOPATH.
pub(super) fn beside(go: &GoCommand) -> BTreeSet<Question> {
    let mut questions = BTreeSet::new();
    let gopath = match go.var("GOPATH") {
        unset if unset.is_empty() => format!("{}/go", go.var("HOME")),
        gopath => gopath,
    };
    for folder in std::env::split_paths(&gopath) {
        questions.insert(Question::Kind(folder.join("go.mod")));
        // Without modules packages are found there. With them cmd/go may make the folder itself, for its module cache.
        if go.var("GO111MODULE") == "off" {
            let src = folder.join("src");
            questions.extend([folder, src].map(Question::Entry));
        }
    }
    if let Ok(real) = go.cwd.canonicalize() {
        questions.extend(links(&real));
    }
    questions.extend(links(&go.cwd));
    for folder in go.cwd.ancestors() {
        let names = ["go.mod", "go.work"].iter().chain(&MARKERS);
        questions.extend(names.map(|name| Question::Kind(folder.join(name))));
        // Of the repository's root, whatever module the build is of: the version that is stamped is named by it.
        questions.insert(Question::Content(folder.join("go.mod")));
    }
    questions
}

/// Whether one of the names that lead to a folder is a link: cmd/go resolves them (filepath.EvalSymlinks).
pub(super) fn links(folder: &Path) -> impl Iterator<Item = Question> {
    folder
        .ancestors()
        .map(|folder| Question::Entry(folder.to_owned()))
}

/// Where a repository may begin that holds this folder (cmd/go/internal/vcs/vcs.go, `FromDir`).
pub(super) fn repositories(folder: &Path) -> BTreeSet<Question> {
    let markers = |folder: &Path| MARKERS.map(|name| Question::Kind(folder.join(name)));
    folder.ancestors().flat_map(markers).collect()
}

/// The files of the modules that lie in folders of this machine: of those that `files` (go.work, go.mod, a -modfile) name, of
/// those that they name, and so on. With their sums, and vendored modules.
pub(super) fn modules(overlay: &Overlay, files: &[PathBuf]) -> BTreeSet<Question> {
    let mut questions = BTreeSet::new();
    for file in files.iter().cloned().chain(local_modules(overlay, files)) {
        let Some(folder) = file.parent() else {
            continue;
        };
        questions.extend(links(folder));
        questions.insert(Question::Kind(folder.join("vendor")));
        let named = file.with_extension("sum");
        // go.work.sum, whatever the workspace's file is called.
        let appended = PathBuf::from(format!("{}.sum", file.display()));
        let vendored = folder.join("vendor/modules.txt");
        // GOWORK may name a file of any name, which by that would be read as another sort.
        questions.extend([file.clone(), named, appended, vendored].map(Question::Whole));
    }
    questions
}

/// The go.mod of each folder that a go.work or go.mod names, and of the folders that those name.
///
/// Every word that is the name of a folder counts, whatever directive it stands in: one too many only makes a plan rest on more.
fn local_modules(overlay: &Overlay, files: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    // By their real names, because modules that name each other would never end.
    let mut seen = BTreeSet::new();
    let mut pending: Vec<PathBuf> = files.to_vec();
    while let Some(file) = pending.pop() {
        // cmd/go takes any bytes in a comment.
        let read = overlay.file(&file).map(fs::read);
        let bytes = read.and_then(Result::ok).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let base = file.parent().unwrap_or(Path::new("/"));
        for word in text.lines().flat_map(words) {
            let folder: PathBuf = base.join(word).components().collect();
            let module = folder.join("go.mod");
            // One that only the overlay has leads nowhere else.
            let real = folder.canonicalize().unwrap_or_else(|_| folder.clone());
            if overlay.is_folder(&folder) && seen.insert(real) {
                pending.push(module.clone());
                found.insert(module);
            }
        }
    }
    found
}

/// The words of a line, which may name a folder: a go.work needs no `./` before it (`LoadWorkFile` in
/// cmd/go/internal/modload/init.go).
fn words(line: &str) -> impl Iterator<Item = &str> {
    // In quotes a path may have blanks.
    let quoted = ['"', '`'].map(|quote| line.split(quote).skip(1).step_by(2));
    let line = line.split("//").next().unwrap_or_default();
    let plain = line.split(|c: char| c.is_whitespace() || "\"`()".contains(c));
    let words = plain.chain(quoted.into_iter().flatten());
    words.filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_found_through_workspaces_and_replacements() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for name in ["w", "w/a", "w/plain", "b", "c d"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        fs::write(
            root.join("w/ci.work"),
            b"// f\xfcr alle\ngo 1.24\nuse (\n\t./a // one\n\t\"../c d\" // two\n\tplain\n)\nuse ../b\n",
        )
        .unwrap();
        fs::write(root.join("b/go.mod"), "module b\nreplace x => ../w/a\n").unwrap();
        let found: BTreeSet<PathBuf> =
            local_modules(&Overlay::default(), &[root.join("w/ci.work")])
                .iter()
                .map(|file| file.parent().unwrap().canonicalize().unwrap())
                .collect();
        for name in ["w/a", "w/plain", "b", "c d"] {
            let folder = root.join(name).canonicalize().unwrap();
            assert!(found.contains(&folder), "{name}");
        }
    }
}
