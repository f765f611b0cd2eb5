//! Fuzz targets, replayed on their corpora by `cargo test` (see `docs/fuzzing.md`).

use std::time::SystemTime;

use bolero::check;

use crate::file_index::FileIndex;
use crate::frame::{unwrap, wrap};
use crate::history::History;

/// Any bytes as a frame: whole, or nothing.
#[test]
fn framed() {
    check!().for_each(|input: &[u8]| {
        let Some((&length, rest)) = input.split_first() else {
            return;
        };
        let (context, framed) = rest.split_at(usize::from(length).min(rest.len()));
        if let Some(body) = unwrap(context, framed) {
            assert_eq!(wrap(context, body), framed);
        }
        assert_eq!(unwrap(context, &wrap(context, framed)), Some(framed));
    });
}

/// Any rows in a file whose checksum is right: a table, or one that is empty and says that something was discarded.
#[test]
fn tables() {
    check!().for_each(|input: &[u8]| {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("table");
        let now = SystemTime::UNIX_EPOCH;
        std::fs::write(&file, wrap(b"gofarm file index 2", input)).unwrap();
        let index = FileIndex::load(&file, now).unwrap();
        assert!(index.is_empty() || index.discarded() == 0);
        std::fs::write(&file, wrap(b"gofarm history 1", input)).unwrap();
        let history = History::load(&file, now).unwrap();
        let _ = history.estimate("fmt", gofarm_proto::v1::Kind::Compile);
    });
}
