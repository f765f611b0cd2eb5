//! Paths as cmd/go shows them (cmd/go/internal/base/path.go).

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// The path relative to `cwd` if that is shorter and names the same file, else the path as it is.
///
/// Both are absolute; any other path is returned as it is, as filepath.Rel refuses it.
pub fn short_path(path: &Path, cwd: &Path) -> PathBuf {
    match relative(path, cwd) {
        Some(short)
            if short.as_os_str().len() < path.as_os_str().len()
                && same_file(&cwd.join(&short), path) =>
        {
            short
        }
        _ => path.to_owned(),
    }
}

/// filepath.Rel.
fn relative(path: &Path, cwd: &Path) -> Option<PathBuf> {
    if !path.is_absolute() || !cwd.is_absolute() {
        return None;
    }
    let (path, cwd) = (clean(path), clean(cwd));
    let shared = path.iter().zip(&cwd).take_while(|(a, b)| a == b).count();
    let mut short: PathBuf = std::iter::repeat_n("..", cwd.len() - shared).collect();
    short.extend(&path[shared..]);
    Some(if short.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        short
    })
}

/// filepath.Clean: by the text alone.
fn clean(path: &Path) -> Vec<&std::ffi::OsStr> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name),
            Component::ParentDir => {
                names.pop();
            }
            _ => {}
        }
    }
    names
}

/// With symbolic links on the way, `..` may lead elsewhere than the text says.
fn same_file(a: &Path, b: &Path) -> bool {
    match (a.metadata(), b.metadata()) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        (Err(a), Err(b)) => a.kind() == ErrorKind::NotFound && b.kind() == ErrorKind::NotFound,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shorter_name_wins() {
        let short = |path: &str| short_path(Path::new(path), Path::new("/no/such/tree"));
        for (path, shown) in [
            ("/no/such/tree", "."),
            ("/no/such/tree/a/b", "a/b"),
            ("/no/such/other", "../other"),
            ("/no", "/no"),
            ("/nowhere/else/x", "/nowhere/else/x"),
            ("/", "/"),
            (".", "."),
        ] {
            assert_eq!(short(path), Path::new(shown), "{path}");
        }
    }

    #[test]
    fn a_relative_name_that_leads_elsewhere_is_not_used() {
        let tree = tempfile::tempdir().unwrap();
        let root = tree.path().canonicalize().unwrap();
        for folder in ["real/deep/cwd", "real/deep/lib", "lib"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        std::os::unix::fs::symlink(root.join("real/deep/cwd"), root.join("link")).unwrap();
        // By the text ../lib is lib; by the disk it is real/deep/lib.
        assert_eq!(
            short_path(&root.join("lib"), &root.join("link")),
            root.join("lib")
        );
        assert_eq!(
            short_path(&root.join("real/deep/lib"), &root.join("real/deep/cwd")),
            Path::new("../lib")
        );
    }
}
