//! Opening a cache folder, and what its owner may have done to it.

use std::fs;

use gofarm_store::{DiskStore, DiskStoreOptions, ErrorClass, StoreError};

fn open(path: &std::path::Path) -> Result<DiskStore, StoreError> {
    DiskStore::open(path, DiskStoreOptions::default())
}

#[test]
fn missing_parents_are_made_and_the_folder_says_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("a/b/cache");
    let digest = open(&root).unwrap().put_bytes(b"content").unwrap();
    assert_eq!(open(&root).unwrap().read(&digest).unwrap(), b"content");
    let tag = fs::read_to_string(root.join("CACHEDIR.TAG")).unwrap();
    assert!(tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55\n"));
}

#[test]
fn a_file_in_the_way_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cache");
    fs::write(&file, b"mine").unwrap();
    for root in [file.clone(), file.join("below")] {
        let error = open(&root).unwrap_err();
        assert_eq!(error.class(), ErrorClass::User);
        assert_eq!(
            error.to_string(),
            format!(
                "cannot use {} as a folder of the cache: it is not a folder; remove it or choose another folder for the cache",
                file.display()
            )
        );
    }
    let root = folder.path().join("other");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("cas"), b"").unwrap();
    let error = open(&root).unwrap_err();
    assert!(matches!(error, StoreError::InTheWay { path } if path == root.join("cas")));
}

#[test]
fn a_folder_of_another_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    open(root).unwrap();
    fs::write(root.join("format"), "gofarm cache 99\n").unwrap();
    let error = open(root).unwrap_err();
    assert_eq!(error.class(), ErrorClass::User);
    assert_eq!(
        error.to_string(),
        format!(
            "the cache folder {} has format \"gofarm cache 99\" and this gofarm reads format \"gofarm cache 1\"; remove the folder or choose another one",
            root.display()
        )
    );
}

#[test]
fn a_relative_folder_stays_where_it_was() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let relative = std::path::Path::new(folder.path().file_name().unwrap());
    let store = open(relative).unwrap();
    assert!(store.root().is_absolute());
    let digest = store.put_bytes(b"content").unwrap();
    assert!(store.path(&digest).is_absolute());
}

#[test]
fn many_open_the_same_new_folder_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("cache");
    std::thread::scope(|scope| {
        for n in 0..8u8 {
            let root = &root;
            scope.spawn(move || open(root).unwrap().put_bytes(&[n]).unwrap());
        }
    });
    assert_eq!(open(&root).unwrap().usage().unwrap().blobs, 8);
}

#[test]
fn what_stands_in_the_place_of_a_part_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    drop(open(root).unwrap());
    let folders = [
        "cas",
        "actions",
        "quarantine",
        "findings",
        "sessions",
        "tmp",
    ];
    let files = ["format", "gate.lock", "evict.lock", "tally"];
    for name in folders {
        let path = root.join(name);
        let _ = fs::remove_dir_all(&path);
        fs::write(&path, b"mine").unwrap();
    }
    for name in files {
        let path = root.join(name);
        let _ = fs::remove_file(&path);
        fs::create_dir(&path).unwrap();
        fs::write(path.join("mine"), b"mine").unwrap();
    }
    drop(open(root).unwrap());
    for name in folders {
        assert!(root.join(name).is_dir(), "{name}");
    }
    assert!(root.join("format").is_file());
    // Nothing is lost: it has another name.
    let beside = |name: &str| {
        let mut entries = fs::read_dir(root).unwrap().flatten();
        let begins = format!("{name}.displaced-");
        entries.any(|entry| entry.file_name().to_string_lossy().starts_with(&begins))
    };
    for name in folders[..6]
        .iter()
        .filter(|name| **name != "cas")
        .chain(&files)
    {
        assert!(beside(name), "{name}");
    }
}

#[test]
fn nothing_is_moved_in_a_folder_that_is_no_cache() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::write(root.join("actions"), b"mine").unwrap();
    fs::create_dir(root.join("format")).unwrap();
    open(root).unwrap_err();
    assert_eq!(fs::read(root.join("actions")).unwrap(), b"mine");
    assert!(root.join("format").is_dir());
}
