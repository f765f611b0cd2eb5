//! A cache that an earlier gofarm has written: `tests/before`, made when results did not yet say who made them. What is in it is read,
//! or is as if it had never been. A change of a format that this test refuses gets a new name for what it changes, not a new fixture.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::SystemTime;

use gofarm_proto::v1::{Kind, Provenance};
use gofarm_proto::{ActionKey, Digest};
use gofarm_store::{DiskStore, DiskStoreOptions, Estimate, FileIndex, History, Recorded};

use crate::fixture::result;

const KEY: ActionKey = ActionKey([0xab; 32]);

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), &to).unwrap();
            // Which Git does not keep of blobs.
            let mode = if from.parent().is_some_and(|parent| parent.ends_with("cas")) {
                0o555
            } else {
                0o644
            };
            fs::set_permissions(&to, fs::Permissions::from_mode(mode)).unwrap();
        }
    }
}

#[test]
fn a_cache_of_before_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("cache");
    copy(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/before"),
        &root,
    );
    let store = DiskStore::open(&root, DiskStoreOptions::default()).unwrap();

    let sound = store.found_damage();

    let (export, object) = (b"an export of before\n", b"an object of before\n");
    let mut expected = result(&[
        ("export", Digest::of(export)),
        ("object", Digest::of(object)),
    ]);
    expected.log = b"# p\nwarning\n".to_vec();
    expected.content_id = "47DEQpj8HBSa-_TImW-5".to_owned();
    let entry = store.entry(&KEY).unwrap().unwrap();
    assert_eq!(entry.result, expected);
    assert_eq!(entry.made, None, "nobody wrote down who made it");
    for content in [export, object] {
        assert_eq!(store.read(&Digest::of(content)).unwrap(), content);
    }
    let again = store.record_action(&KEY, &expected, &Provenance::default());
    assert_eq!(again.unwrap(), Recorded::AlreadyThere);
    assert_eq!(store.found_damage(), sound);

    let history = History::load(&root.join("history"), SystemTime::now()).unwrap();
    let of_before = Estimate {
        duration_ms: 120,
        peak_memory: 90 << 20,
    };
    assert_eq!(history.estimate("fmt", Kind::Compile), Some(of_before));
    assert_eq!(history.discarded(), 0);

    // Its rows have another version by now: each file is hashed again.
    let index = FileIndex::load(&root.join("files"), SystemTime::now()).unwrap();
    assert!(index.is_empty());
}
