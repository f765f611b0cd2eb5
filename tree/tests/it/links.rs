//! Links in the way, of each sort, for each operation.

use std::fs;
use std::path::{Path, PathBuf};

use gofarm_tree::{Problem, Result, TreeError};

use crate::trees::{Lab, labs, path};

/// How many [`ways`] there are.
const WAYS: usize = 7;

/// Links at `d` and at `a/b/d` that lead to the host, or nowhere.
fn ways(lab: &Lab) -> [PathBuf; WAYS] {
    let host = lab.host();
    let up = "../".repeat(40);
    [
        host.clone(),
        Path::new(&up).join(host.strip_prefix("/").unwrap()),
        Path::new("/proc/self/root").join(host.strip_prefix("/").unwrap()),
        host.join("none"),
        // Itself, and a folder of the tree.
        PathBuf::from("d"),
        PathBuf::from("e"),
        PathBuf::from(".."),
    ]
}

#[track_caller]
fn is_link<T>(outcome: Result<T>, at: &str) {
    match outcome {
        Err(TreeError {
            at: found,
            problem: Problem::Link,
        }) => assert_eq!(found, at),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("{at} was followed"),
    }
}

#[test]
fn a_link_in_the_place_of_a_folder_is_named_and_never_followed() {
    for folder in ["d", "a/b/d"] {
        for number in 0..WAYS {
            for lab in labs() {
                lab.write("e/secret", b"mine");
                lab.write("a/b/e/secret", b"mine");
                lab.link(&ways(&lab)[number], folder);
                for below in ["secret", "sub/secret", "new", "new/folder/file"] {
                    let below = format!("{folder}/{below}");
                    let below = path(&below);
                    is_link(lab.tree.entry(below).map(|_| ()), folder);
                    is_link(lab.tree.fresh_entry(below, 0o755).map(|_| ()), folder);
                    is_link(lab.tree.make_folders(below, 0o755), folder);
                    is_link(lab.tree.folder(below), folder);
                }
                is_link(lab.tree.folder(path(folder)), folder);
                is_link(lab.tree.make_folders(path(folder), 0o755), folder);
                lab.assert_host_untouched();
            }
        }
    }
}

#[test]
fn a_link_in_the_place_of_a_file_is_named_and_never_followed() {
    for number in 0..WAYS {
        for lab in labs() {
            let target = ways(&lab)[number].join("secret");
            lab.link(&target, "a/file");
            let entry = lab.tree.entry(path("a/file")).unwrap();
            is_link(entry.open(), "a/file");
            is_link(entry.append(), "a/file");
            let error = entry.create(0o644).unwrap_err();
            assert_eq!(error.io_kind(), Some(std::io::ErrorKind::AlreadyExists));
            let linked = entry.link_from(&lab.host().join("secret")).unwrap_err();
            assert_eq!(linked.kind(), std::io::ErrorKind::AlreadyExists);
            lab.assert_host_untouched();
            // What is put in its place is put there.
            std::io::Write::write_all(&mut entry.create_fresh(0o644).unwrap(), b"mine").unwrap();
            assert_eq!(fs::read(lab.real("a/file")).unwrap(), b"mine");
            assert!(!lab.real("a/file").is_symlink());
            lab.assert_host_untouched();
        }
    }
}

#[test]
fn a_link_is_moved_and_removed_itself() {
    for lab in labs() {
        lab.link(&lab.host().join("secret"), "file");
        lab.link(&lab.host(), "folder");
        for name in ["file", "folder"] {
            let out = lab.host().with_file_name(format!("{name}.out"));
            lab.tree.entry(path(name)).unwrap().move_to(&out).unwrap();
            assert!(out.is_symlink());
        }
        lab.link(&lab.host(), "folder");
        lab.tree.entry(path("folder")).unwrap().unlink().unwrap();
        lab.link(&lab.host(), "folder");
        lab.tree.entry(path("folder")).unwrap().remove().unwrap();
        assert!(!lab.real("folder").is_symlink());
        lab.assert_host_untouched();
    }
}
