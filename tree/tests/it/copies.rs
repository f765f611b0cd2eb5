//! A tree is copied without what leads out of it.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
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

#[test]
fn holes_of_a_file_are_holes_of_its_copy() {
    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;
    for lab in labs() {
        for (name, length, at) in [
            ("end", GIB, &[GIB - 5][..]),
            ("middle", 3 * MIB, &[0, 2 * MIB]),
            ("hole", GIB, &[]),
            ("empty", 0, &[]),
        ] {
            let path = lab.real("w").join(name);
            lab.write(&format!("w/{name}"), b"");
            let file = fs::File::options().write(true).open(path).unwrap();
            file.set_len(length).unwrap();
            for offset in at {
                file.write_all_at(b"bytes", *offset).unwrap();
            }
        }
        lab.write("w/dense", &b"dense".repeat(100_000));

        let copies = tempfile::tempdir().unwrap();
        let to = Folder::open_with(copies.path(), lab.resolver).unwrap();
        let from = lab.tree.folder(path("w")).unwrap();
        from.copy_into(&to, 0o755).unwrap();

        for name in ["end", "middle", "hole", "empty", "dense"] {
            let copy = fs::File::open(copies.path().join(name)).unwrap();
            let source = fs::File::open(lab.real("w").join(name)).unwrap();
            let (copied, given) = (copy.metadata().unwrap(), source.metadata().unwrap());
            assert_eq!(copied.len(), given.len(), "{name}");
            assert!(
                copied.blocks() * 512 <= given.blocks() * 512 + MIB,
                "{name}: {} blocks, not {}",
                copied.blocks(),
                given.blocks()
            );
            let mut around: Vec<u64> = vec![0, MIB, 2 * MIB, GIB - 10];
            around.retain(|offset| *offset < given.len());
            for offset in around {
                let [mut one, mut other] = [[0; 1000]; 2];
                let read = copy.read_at(&mut one, offset).unwrap();
                assert_eq!(source.read_at(&mut other, offset).unwrap(), read);
                assert!(one == other, "{name} at {offset}");
            }
        }
        let dense = fs::read(copies.path().join("dense")).unwrap();
        assert!(dense == b"dense".repeat(100_000));
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
