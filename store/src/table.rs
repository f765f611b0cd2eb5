//! A table of rows in one file: read whole, changed in memory, saved whole.
//!
//! Several processes may have it open. Saving reads what others have saved meanwhile and lays the rows that
//! this process has changed over it, under a lock. The file is replaced by a rename and has a checksum, so it
//! is never half old; a damaged one counts as empty, since everything in it can be found out again.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt::Debug;
use std::fs::{self, Metadata};
use std::hash::Hash;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::SystemTime;

use prost::Message;

use crate::displaced::{Wanted, make_way};
use crate::error::{Result, io_error};
use crate::frame;
use crate::gate::open_lock_file;
use crate::harmless;
use crate::layout::nanos;

/// A row with its key. The fields of the key may be moved out by `take_key` and are put back by `put_key`.
pub(crate) trait Row: Message + Default + Clone {
    type Key: Debug + Eq + Hash + Clone;
    /// Names the kind of the file and the version of its rows.
    const CONTEXT: &'static [u8];
    /// Rows unused for this many days are dropped when the table is saved.
    const KEEP_DAYS: u32;
    fn take_key(&mut self) -> Self::Key;
    fn put_key(&mut self, key: Self::Key);
    fn used_day(&self) -> u32;
    fn set_used_day(&mut self, day: u32);
}

#[derive(Debug)]
pub(crate) struct Table<R: Row> {
    file: PathBuf,
    today: u32,
    rows: RwLock<Rows<R>>,
    /// The state of the file that `rows` was last read from or written to.
    on_disk: Mutex<Option<Version>>,
    discarded: AtomicU64,
}

#[derive(Debug, Clone)]
struct Slot<R> {
    row: R,
    changed: bool,
}

type Rows<R> = HashMap<<R as Row>::Key, Slot<R>>;

/// Tells one saved file from another without reading it.
type Version = (u64, i64, i64, u64);

impl<R: Row> Table<R> {
    /// Reads the file. A missing or damaged one gives an empty table.
    pub(crate) fn load(file: &Path, now: SystemTime) -> Result<Table<R>> {
        let table = Table {
            file: file.to_owned(),
            today: u32::try_from(nanos(now) / 86_400_000_000_000).unwrap_or(u32::MAX),
            rows: RwLock::new(HashMap::new()),
            on_disk: Mutex::new(None),
            discarded: AtomicU64::new(0),
        };
        if let Some(folder) = file.parent() {
            make_way(folder, Wanted::Folder).map_err(io_error("set aside", folder, folder))?;
        }
        make_way(file, Wanted::File).map_err(io_error("set aside", file, file))?;
        if let Some((rows, version)) = table.read()? {
            *table.write_rows() = rows;
            *table.version() = Some(version);
        }
        Ok(table)
    }

    /// Looks a row up, and notes that it is in use.
    pub(crate) fn get<K, T>(&self, key: &K, f: impl FnOnce(&R) -> Option<T>) -> Option<T>
    where
        R::Key: Borrow<K>,
        K: Hash + Eq + ?Sized,
    {
        let (found, last_used) = {
            let rows = self.read_rows();
            let row = &rows.get(key)?.row;
            (f(row)?, row.used_day())
        };
        // Once a day is enough, so that a build that changes nothing saves nothing.
        if last_used < self.today
            && let Some(slot) = self.write_rows().get_mut(key)
        {
            slot.row.set_used_day(self.today);
            slot.changed = true;
        }
        Some(found)
    }

    /// Changes a row, or makes it.
    pub(crate) fn update(&self, key: R::Key, f: impl FnOnce(Option<&R>) -> R) {
        let mut rows = self.write_rows();
        let mut row = f(rows.get(&key).map(|slot| &slot.row));
        row.set_used_day(self.today);
        rows.insert(key, Slot { row, changed: true });
    }

    pub(crate) fn remove<K>(&self, key: &K)
    where
        R::Key: Borrow<K>,
        K: Hash + Eq + ?Sized,
    {
        self.write_rows().remove(key);
    }

    pub(crate) fn len(&self) -> usize {
        self.read_rows().len()
    }

    /// How many damaged files were discarded: at loading, and at saving.
    pub(crate) fn discarded(&self) -> u64 {
        self.discarded.load(Ordering::Relaxed)
    }

    /// Writes what was changed. Nothing to do when nothing was.
    pub(crate) fn save(&self) -> Result<()> {
        if !self.read_rows().values().any(|slot| slot.changed) {
            return Ok(());
        }
        let folder = self.folder();
        let lock_path = self.file.with_extension("lock");
        let lock = open_lock_file(&lock_path, folder)?;
        lock.lock().map_err(io_error("lock", &lock_path, folder))?;
        let saved = match fs::metadata(&self.file) {
            // Nobody has saved since: what is in memory is all there is.
            Ok(m) if *self.version() == Some(version(&m)) => None,
            _ => self.read()?,
        };
        let mut rows = self.write_rows();
        if let Some((mut merged, _)) = saved {
            merged.extend(rows.drain().filter(|(_, slot)| slot.changed));
            *rows = merged;
        }
        rows.retain(|_, slot| slot.row.used_day().saturating_add(R::KEEP_DAYS) >= self.today);
        let metadata = self
            .write(&encode(&rows))
            .map_err(io_error("write", &self.file, folder))?;
        rows.values_mut().for_each(|slot| slot.changed = false);
        *self.version() = Some(version(&metadata));
        Ok(())
        // The lock goes with `lock`.
    }

    fn read(&self) -> Result<Option<(Rows<R>, Version)>> {
        let read = || {
            let mut file = harmless::open(&self.file)?;
            let metadata = file.metadata()?;
            let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
            io::Read::read_to_end(&mut file, &mut bytes)?;
            Ok((bytes, version(&metadata)))
        };
        let (bytes, version) = match read() {
            Ok(read) => read,
            Err(e) if io::Error::kind(&e) == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(io_error("read", &self.file, self.folder())(e)),
        };
        let rows = frame::unwrap(R::CONTEXT, &bytes).and_then(decode);
        if rows.is_none() {
            self.discarded.fetch_add(1, Ordering::Relaxed);
        }
        Ok(rows.map(|rows| (rows, version)))
    }

    fn write(&self, bytes: &[u8]) -> io::Result<Metadata> {
        // One name, since the lock is held: a killed process leaves at most this one behind.
        let beside = self.file.with_extension("new");
        fs::write(&beside, bytes)?;
        let metadata = fs::metadata(&beside)?;
        fs::rename(&beside, &self.file)?;
        Ok(metadata)
    }

    fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(&self.file)
    }

    // A panic while the map was locked leaves no half-changed row that matters: rows are replaced whole.
    fn read_rows(&self) -> RwLockReadGuard<'_, Rows<R>> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_rows(&self) -> RwLockWriteGuard<'_, Rows<R>> {
        self.rows.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn version(&self) -> std::sync::MutexGuard<'_, Option<Version>> {
        self.on_disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn version(metadata: &Metadata) -> Version {
    (
        metadata.ino(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.len(),
    )
}

fn encode<R: Row>(rows: &Rows<R>) -> Vec<u8> {
    let mut body = Vec::with_capacity(rows.len() * 256);
    for (key, slot) in rows {
        let mut row = slot.row.clone();
        row.put_key(key.clone());
        body.extend_from_slice(&row.encode_length_delimited_to_vec());
    }
    frame::wrap(R::CONTEXT, &body)
}

fn decode<R: Row>(mut body: &[u8]) -> Option<Rows<R>> {
    // A row is rarely smaller than this; the estimate only saves growing.
    let mut rows = HashMap::with_capacity(body.len() / 128);
    while !body.is_empty() {
        let mut row = R::decode_length_delimited(&mut body).ok()?;
        let key = row.take_key();
        rows.insert(
            key,
            Slot {
                row,
                changed: false,
            },
        );
    }
    Some(rows)
}
