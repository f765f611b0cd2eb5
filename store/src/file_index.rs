//! What is known about source files, so that a build reads only those that changed.

use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use gofarm_proto::Digest;

use crate::error::Result;
use crate::go_hash::GoFileHash;
use crate::layout::nanos;
use crate::table::{Row, Table};

/// A file changed so shortly before it was hashed may change again without its times showing it: times move
/// in steps of up to two seconds (FAT), of some milliseconds on Linux. Git knows this as the racy index.
const SETTLED: Duration = Duration::from_secs(2);

/// What is remembered about the content of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileRecord {
    /// The blob that the file's content is.
    pub digest: Digest,
    /// The content as cmd/go hashes it.
    pub go_hash: GoFileHash,
    /// A digest, made by the caller, of what planning depends on in the file.
    pub header: [u8; 32],
}

impl FileRecord {
    /// The record of a file with this content.
    pub fn of(content: &[u8], header: [u8; 32]) -> FileRecord {
        FileRecord {
            digest: Digest::of(content),
            go_hash: GoFileHash::of(content),
            header,
        }
    }
}

/// The local index: (path, size, modification time, status change time, inode) to [`FileRecord`].
///
/// Safe to use from several threads, and the file from several processes: saving merges. Files not asked for
/// in 60 days are forgotten.
#[derive(Debug)]
pub struct FileIndex {
    table: Table<FileRow>,
}

impl FileIndex {
    /// Reads the index from this file, which is made at the first [`save`](FileIndex::save). A damaged file
    /// counts as empty; see [`discarded`](FileIndex::discarded).
    ///
    /// `now` only decides what is too old to keep.
    pub fn load(file: &Path, now: SystemTime) -> Result<FileIndex> {
        let table = Table::load(file, now)?;
        Ok(FileIndex { table })
    }

    /// What is known about the file at `path`, if it is still the file that was hashed. `metadata` is that of
    /// the file now; the path is taken as it is, so callers use absolute ones.
    pub fn lookup(&self, path: &Path, metadata: &Metadata) -> Option<FileRecord> {
        self.known(path, metadata).0
    }

    /// What [`lookup`](FileIndex::lookup) and [`changed_unseen`](FileIndex::changed_unseen) say, by one look.
    pub fn known(&self, path: &Path, metadata: &Metadata) -> (Option<FileRecord>, bool) {
        let stamp = Stamp::of(metadata);
        let known = self.table.get(bytes(path), |row| {
            if row.stamp() != stamp {
                return row.is_alike(stamp).then_some((None, row.unseen));
            }
            Some((row.record(metadata.len()), row.unseen))
        });
        known.unwrap_or_default()
    }

    /// Whether anything is known about a file at `path` with this size and modification time.
    pub fn knows(&self, path: &Path, metadata: &Metadata) -> bool {
        let stamp = Stamp::of(metadata);
        let known = self
            .table
            .get(bytes(path), |row| row.is_alike(stamp).then_some(()));
        known.is_some()
    }

    /// Whether the file at `path` was seen with another header under the size and modification time that it has now: who
    /// believes those two takes it for what it was.
    pub fn changed_unseen(&self, path: &Path, metadata: &Metadata) -> bool {
        self.known(path, metadata).1
    }

    /// Remembers a file. `metadata` was taken before the content was read, and `hashed_at` is the time just
    /// before that. Returns false, and forgets what was known, when the file had changed less than two seconds
    /// earlier (or in the future): then it cannot be told from one that changes again right away, and is to be
    /// hashed again the next time. That it [changed unseen](FileIndex::changed_unseen) is not forgotten.
    pub fn insert(
        &self,
        path: &Path,
        metadata: &Metadata,
        hashed_at: SystemTime,
        record: &FileRecord,
    ) -> bool {
        let stamp = Stamp::of(metadata);
        let settled = nanos(hashed_at).saturating_sub(SETTLED.as_nanos());
        let last_change = stamp.modified.max(stamp.changed);
        let settled = i64::try_from(settled).is_ok_and(|settled| last_change < settled);
        let alike = self.table.get(bytes(path), |row| {
            let same = row.header() == Some(record.header);
            row.is_alike(stamp).then_some(row.unseen || !same)
        });
        let unseen = alike.unwrap_or(false);
        let settled = settled && record.digest.size == metadata.len();
        match (settled, unseen) {
            (false, false) => self.table.remove(bytes(path)),
            // With a stamp that no file has, so that it is hashed again.
            (false, true) => self.table.update(key(path), |_| {
                let stamp = Stamp {
                    changed: 0,
                    ..stamp
                };
                FileRow::new(stamp, record, unseen)
            }),
            (true, _) => {
                self.table
                    .update(key(path), |_| FileRow::new(stamp, record, unseen));
            }
        }
        settled
    }

    /// Writes what was learned. Nothing is written when nothing was.
    pub fn save(&self) -> Result<()> {
        self.table.save()
    }

    /// How many files are known.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// True when no file is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many damaged index files were discarded.
    pub fn discarded(&self) -> u64 {
        self.table.discarded()
    }
}

fn key(path: &Path) -> Vec<u8> {
    bytes(path).to_vec()
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

/// Tells one state of a file from another. The device is not part of it: its number may differ after a
/// restart. Times in nanoseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    size: u64,
    modified: i64,
    changed: i64,
    inode: u64,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
        let nanos = |seconds: i64, part: i64| seconds.saturating_mul(1_000_000_000) + part;
        Stamp {
            size: metadata.len(),
            modified: nanos(metadata.mtime(), metadata.mtime_nsec()),
            changed: nanos(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
        }
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct FileRow {
    #[prost(bytes = "vec", tag = "1")]
    path: Vec<u8>,
    #[prost(uint64, tag = "2")]
    size: u64,
    #[prost(sfixed64, tag = "3")]
    modified: i64,
    #[prost(sfixed64, tag = "4")]
    changed: i64,
    #[prost(uint64, tag = "5")]
    inode: u64,
    /// BLAKE3, Go hash and header digest, one after the other: one allocation for each row.
    #[prost(bytes = "vec", tag = "6")]
    hashes: Vec<u8>,
    #[prost(uint32, tag = "7")]
    used_day: u32,
    /// The header was another one under the same size and modification time.
    #[prost(bool, tag = "8")]
    unseen: bool,
}

impl FileRow {
    fn new(stamp: Stamp, record: &FileRecord, unseen: bool) -> FileRow {
        FileRow {
            path: Vec::new(),
            size: stamp.size,
            modified: stamp.modified,
            changed: stamp.changed,
            inode: stamp.inode,
            hashes: [
                record.digest.hash.as_slice(),
                &record.go_hash.0,
                &record.header,
            ]
            .concat(),
            used_day: 0,
            unseen,
        }
    }

    /// Same size and modification time.
    fn is_alike(&self, stamp: Stamp) -> bool {
        (self.size, self.modified) == (stamp.size, stamp.modified)
    }

    fn header(&self) -> Option<[u8; 32]> {
        self.record(self.size).map(|record| record.header)
    }

    fn stamp(&self) -> Stamp {
        Stamp {
            size: self.size,
            modified: self.modified,
            changed: self.changed,
            inode: self.inode,
        }
    }

    fn record(&self, size: u64) -> Option<FileRecord> {
        let (hash, rest) = self.hashes.split_first_chunk::<32>()?;
        let (go_hash, rest) = rest.split_first_chunk::<15>()?;
        Some(FileRecord {
            digest: Digest { hash: *hash, size },
            go_hash: GoFileHash(*go_hash),
            header: rest.try_into().ok()?,
        })
    }
}

impl Row for FileRow {
    type Key = Vec<u8>;
    const CONTEXT: &'static [u8] = b"gofarm file index 2";
    const KEEP_DAYS: u32 = 60;

    fn take_key(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.path)
    }

    fn put_key(&mut self, key: Vec<u8>) {
        self.path = key;
    }

    fn used_day(&self) -> u32 {
        self.used_day
    }

    fn set_used_day(&mut self, day: u32) {
        self.used_day = day;
    }
}
