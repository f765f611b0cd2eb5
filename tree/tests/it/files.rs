//! What is done with files and folders that are what they seem.

use std::ffi::OsStr;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;

use gofarm_tree::{Kind, Problem, TreeError};

use crate::trees::{SECRET, labs, path};

#[test]
fn a_file_is_created_read_appended_to_and_moved_out() {
    for lab in labs() {
        let entry = lab.tree.fresh_entry(path("a/b/file"), 0o755).unwrap();
        assert_eq!(entry.status().unwrap(), None);
        assert!(entry.open().unwrap_err().is_not_found());
        entry.create(0o644).unwrap().write_all(b"one").unwrap();
        let error = entry.create(0o644).unwrap_err();
        assert_eq!(error.io_kind(), Some(ErrorKind::AlreadyExists));
        entry.append().unwrap().file.write_all(b" two").unwrap();
        let mut opened = entry.open().unwrap();
        let mut text = String::new();
        opened.file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "one two");
        assert_eq!((opened.status.size, opened.status.names), (7, 1));
        assert!(opened.status.is_own());
        let out = lab.host().with_file_name("out");
        entry.move_to(&out).unwrap();
        assert_eq!(fs::read(out).unwrap(), b"one two");
        assert_eq!(entry.status().unwrap(), None);
        entry.unlink().unwrap();
    }
}

#[test]
fn a_file_in_the_place_of_another_leaves_that_ones_other_names_alone() {
    for lab in labs() {
        let entry = lab.tree.entry(path("file")).unwrap();
        entry.link_from(&lab.host().join("secret")).unwrap();
        assert_eq!(entry.status().unwrap().unwrap().names, 2);
        entry.create_fresh(0o644).unwrap().write_all(b"x").unwrap();
        assert_eq!(fs::read(lab.host().join("secret")).unwrap(), SECRET);
        lab.assert_host_untouched();
    }
}

#[test]
fn folders_get_the_mode_that_is_asked_for_and_keep_the_one_that_they_have() {
    for lab in labs() {
        fs::create_dir(lab.real("a")).unwrap();
        fs::set_permissions(lab.real("a"), fs::Permissions::from_mode(0o711)).unwrap();
        // No mask that anybody uses leaves these bits.
        lab.tree.make_folders(path("a/b/c"), 0o777).unwrap();
        lab.tree.make_folders(path("a/b/c"), 0o700).unwrap();
        let mode = |path| fs::metadata(lab.real(path)).unwrap().mode() & 0o7777;
        assert_eq!(
            (mode("a"), mode("a/b"), mode("a/b/c")),
            (0o711, 0o777, 0o777)
        );
        lab.tree.make_folder("d", 0o770).unwrap();
        assert_eq!(mode("d"), 0o770);
        assert!(lab.tree.make_folder("d", 0o770).is_err());
    }
}

#[test]
fn what_is_no_folder_is_named() {
    for lab in labs() {
        lab.write("a/file", b"");
        for outcome in [
            lab.tree.entry(path("a/file/x/y")).map(|_| ()),
            lab.tree.fresh_entry(path("a/file/x/y"), 0o755).map(|_| ()),
            lab.tree.folder(path("a/file")).map(|_| ()),
            lab.tree.make_folders(path("a/file"), 0o755).map(|_| ()),
        ] {
            match outcome {
                Err(TreeError {
                    at,
                    problem: Problem::NotAFolder(Kind::File),
                }) => assert_eq!(at, "a/file"),
                outcome => panic!("{outcome:?}"),
            }
        }
        assert!(lab.tree.folder(path("b/c")).unwrap_err().is_not_found());
    }
}

#[test]
fn what_is_no_file_is_named_and_not_waited_for() {
    for lab in labs() {
        fs::create_dir(lab.real("folder")).unwrap();
        let fifo = std::ffi::CString::new(lab.real("pipe").to_str().unwrap()).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).unwrap();
        let _socket = UnixListener::bind(lab.real("socket")).unwrap();
        for (name, kind) in [
            ("folder", Kind::Folder),
            ("pipe", Kind::Pipe),
            ("socket", Kind::Socket),
        ] {
            let entry = lab.tree.entry(path(name)).unwrap();
            for outcome in [entry.open(), entry.append()] {
                match outcome {
                    Err(TreeError {
                        problem: Problem::NotAFile(found),
                        ..
                    }) => assert_eq!(found, kind),
                    outcome => panic!("{name}: {outcome:?}"),
                }
            }
        }
        assert!(lab.tree.entry(path("folder")).unwrap().unlink().is_err());
    }
}

#[test]
fn a_child_is_one_name() {
    for lab in labs() {
        for name in ["", ".", "..", "a/b", "/", "a\0"] {
            assert!(lab.tree.child(OsStr::new(name)).is_err(), "{name:?}");
            assert!(lab.tree.remove(OsStr::new(name)).is_err() || name.is_empty());
        }
        lab.tree
            .child(OsStr::new("a"))
            .unwrap()
            .create(0o600)
            .unwrap();
        assert!(lab.real("a").exists());
    }
}

#[test]
fn names_of_a_file_are_counted_in_the_tree_and_nowhere_else() {
    for lab in labs() {
        lab.write("a/one", b"x");
        fs::hard_link(lab.real("a/one"), lab.real("two")).unwrap();
        fs::hard_link(lab.real("a/one"), lab.host().with_file_name("outside")).unwrap();
        lab.link(&lab.real("a/one"), "link");
        let status = lab
            .tree
            .entry(path("two"))
            .unwrap()
            .status()
            .unwrap()
            .unwrap();
        assert_eq!(status.names, 3);
        assert_eq!(lab.tree.names_of(status.id).unwrap(), 2);
    }
}

#[test]
fn a_handle_stays_with_its_folder() {
    for lab in labs() {
        fs::create_dir(lab.real("d")).unwrap();
        let folder = lab.tree.folder(path("d")).unwrap();
        fs::rename(lab.real("d"), lab.real("e")).unwrap();
        lab.link(&lab.host(), "d");
        folder
            .child(OsStr::new("x"))
            .unwrap()
            .create(0o644)
            .unwrap();
        assert!(lab.real("e/x").exists());
        lab.assert_host_untouched();
    }
}
