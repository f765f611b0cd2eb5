//! A tree is copied without what leads out of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use gofarm_tree::Folder;

use crate::trees::{labs, path};

#[test]
fn files_and_folders_are_copied_and_links_are_not() {
    for lab in labs() {
        lab.write("w/a", b"a");
        lab.write("w/sub/deep/b", b"b");
        fs::create_dir(lab.real("w/empty")).unwrap();
        fs::set_permissions(lab.real("w/a"), fs::Permissions::from_mode(0o400)).unwrap();
        lab.link(&lab.host().join("secret"), "w/file");
        lab.link(&lab.host(), "w/folder");
        lab.link(Path::new("a"), "w/inside");
        lab.link(Path::new("nothing"), "w/sub/broken");

        let copies = tempfile::tempdir().unwrap();
        let to = Folder::open_with(copies.path(), lab.resolver).unwrap();
        lab.tree
            .folder(path("w"))
            .unwrap()
            .copy_into(&to, 0o755)
            .unwrap();

        let mut names = Vec::new();
        collect(copies.path(), copies.path(), &mut names);
        names.sort();
        assert_eq!(names, ["a", "empty", "sub", "sub/deep", "sub/deep/b"]);
        assert_eq!(fs::read(copies.path().join("sub/deep/b")).unwrap(), b"b");
        let mode = fs::metadata(copies.path().join("a")).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        // What is there is not written over.
        assert!(
            lab.tree
                .folder(path("w"))
                .unwrap()
                .copy_into(&to, 0o755)
                .is_err()
        );
        lab.assert_host_untouched();
    }
}

fn collect(root: &Path, folder: &Path, names: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let below = entry.path();
        let name = below.strip_prefix(root).unwrap();
        names.push(name.to_str().unwrap().to_owned());
        if entry.file_type().unwrap().is_dir() {
            collect(root, &below, names);
        }
    }
}
