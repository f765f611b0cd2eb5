//! A tree and a host beside it, for each resolver.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use gofarm_tree::{Folder, Resolver, TreePath};
use tempfile::TempDir;

pub const SECRET: &[u8] = b"secret";

/// `tree` is what somebody else writes to; `host/secret` and `host/sub/secret` are what must not be reached.
pub struct Lab {
    pub resolver: Resolver,
    pub tree: Folder,
    folder: TempDir,
}

/// One for each resolver that this machine has.
pub fn labs() -> Vec<Lab> {
    let best = Resolver::of_this_machine();
    if best == Resolver::Walk {
        eprintln!("not tested: this machine has no openat2");
        return vec![Lab::new(Resolver::Walk)];
    }
    vec![Lab::new(best), Lab::new(Resolver::Walk)]
}

impl Lab {
    pub fn new(resolver: Resolver) -> Lab {
        // In memory where there is such a folder: ext4 takes milliseconds for each of thousands of folders.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let folder = folder.unwrap();
        fs::create_dir(folder.path().join("tree")).unwrap();
        fs::create_dir_all(folder.path().join("host/sub")).unwrap();
        for secret in ["host/secret", "host/sub/secret"] {
            fs::write(folder.path().join(secret), SECRET).unwrap();
        }
        let tree = Folder::open_with(&folder.path().join("tree"), resolver).unwrap();
        Lab {
            resolver,
            tree,
            folder,
        }
    }

    /// A place in the tree, by a path of the machine: what the one who writes it uses.
    pub fn real(&self, path: &str) -> PathBuf {
        self.folder.path().join("tree").join(path)
    }

    pub fn host(&self) -> PathBuf {
        self.folder.path().join("host")
    }

    pub fn write(&self, path: &str, content: &[u8]) {
        let path = self.real(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn link(&self, target: &Path, path: &str) {
        let path = self.real(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    #[track_caller]
    pub fn assert_host_untouched(&self) {
        let mut found = Vec::new();
        for folder in [self.host(), self.host().join("sub")] {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() {
                    assert_eq!(fs::read(&path).unwrap(), SECRET, "{}", path.display());
                    assert_eq!(fs::metadata(&path).unwrap().nlink(), 1);
                }
                found.push(path.strip_prefix(self.host()).unwrap().to_owned());
            }
        }
        found.sort();
        let expected = ["secret", "sub", "sub/secret"].map(PathBuf::from);
        assert_eq!(found, expected, "{:?}", self.resolver);
    }
}

pub fn path(text: &str) -> TreePath<'_> {
    TreePath::new(text).unwrap()
}
