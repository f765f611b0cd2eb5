//! Bytes that come piece by piece: few are in memory, many in a file.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use gofarm_proto::{Digest, INLINE_LOG};
use gofarm_store::DiskStore;

use crate::error::{ExecuteError, Result};

/// What is read back at once.
const PIECE: usize = 64 << 10;

/// What the tools of an action have printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Printed {
    /// All of it: at most [`INLINE_LOG`] bytes.
    Inline(Vec<u8>),
    /// The blob of the local store that has it.
    Blob(Digest),
}

impl Default for Printed {
    fn default() -> Printed {
        Printed::Inline(Vec::new())
    }
}

/// Up to [`INLINE_LOG`] bytes take memory, more only the disk: a file in the store's scratch folder. When it cannot be
/// written, what comes is let go, and [`finish`](Spool::finish) says so.
///
/// Whoever prints waits for the page cache at most, as it would itself with its output in a file.
#[derive(Debug)]
pub(crate) struct Spool {
    store: DiskStore,
    memory: Vec<u8>,
    /// Has everything, once it is there.
    file: Option<Scratch>,
    length: u64,
    trouble: Option<io::Error>,
}

/// A file that goes when this is dropped.
#[derive(Debug)]
struct Scratch {
    file: File,
    path: PathBuf,
}

impl Scratch {
    fn create(store: &DiskStore) -> io::Result<Scratch> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let path = store.scratch_dir().join(format!("log-{number}"));
            let created = File::options()
                .create_new(true)
                .read(true)
                .write(true)
                .open(&path);
            match created {
                Ok(file) => return Ok(Scratch { file, path }),
                // Another store of this process has the same folder.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Gone when it has become a blob; else swept with the folder.
        let _ = fs::remove_file(&self.path);
    }
}

impl Spool {
    /// Nothing yet.
    pub fn new(store: DiskStore) -> Spool {
        Spool {
            store,
            memory: Vec::new(),
            file: None,
            length: 0,
            trouble: None,
        }
    }

    /// What there is by now; nothing is left here.
    pub fn take(&mut self) -> Spool {
        let empty = Spool::new(self.store.clone());
        std::mem::replace(self, empty)
    }

    /// How much there is, bytes.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether nothing is kept any more, because it cannot be written.
    pub fn is_broken(&self) -> bool {
        self.trouble.is_some()
    }

    /// Whether [`finish`](Spool::finish) has to do with the disk.
    pub fn is_file(&self) -> bool {
        self.file.is_some()
    }

    /// Adds bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.trouble.is_none()
            && let Err(error) = self.write(bytes)
        {
            self.trouble = Some(error);
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.file.is_none() && self.memory.len() + bytes.len() > INLINE_LOG {
            let scratch = Scratch::create(&self.store)?;
            scratch.file.write_all_at(&self.memory, 0)?;
            self.memory = Vec::new();
            self.file = Some(scratch);
        }
        match &self.file {
            Some(scratch) => scratch.file.write_all_at(bytes, self.length)?,
            None => self.memory.extend_from_slice(bytes),
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Lets go of everything behind the first `length` bytes.
    pub fn truncate(&mut self, length: u64) {
        // A file keeps its length: what is left behind the end is written over, or cut off at last.
        self.length = self.length.min(length);
        self.memory
            .truncate(usize::try_from(length).unwrap_or(usize::MAX));
    }

    /// Hands out what there is from `start` on, in pieces.
    pub fn each(&mut self, start: u64, mut piece: impl FnMut(&[u8])) {
        let Some(scratch) = &self.file else {
            let start = usize::try_from(start).unwrap_or(usize::MAX);
            return piece(self.memory.get(start..).unwrap_or_default());
        };
        let mut at = start;
        let mut buffer = vec![0; PIECE];
        while at < self.length {
            let wanted = (self.length - at).min(PIECE as u64) as usize;
            if let Err(error) = scratch.file.read_exact_at(&mut buffer[..wanted], at) {
                self.trouble.get_or_insert(error);
                return;
            }
            piece(&buffer[..wanted]);
            at += wanted as u64;
        }
    }

    /// The last bytes, at most so many.
    pub fn tail(&mut self, most: usize) -> Vec<u8> {
        let mut tail = Vec::new();
        let start = self.length.saturating_sub(most as u64);
        self.each(start, |piece| tail.extend_from_slice(piece));
        tail
    }

    /// All of it. What is more than [`INLINE_LOG`] has become a blob of the store.
    ///
    /// # Errors
    ///
    /// [`ExecuteError::Full`] and what else the system says of the file.
    pub fn finish(mut self) -> Result<Printed> {
        let folder = self.store.scratch_dir();
        let failed = ExecuteError::io("keeping the output of tools in", &folder);
        if let Some(error) = self.trouble.take() {
            return Err(failed(error));
        }
        if self.length <= INLINE_LOG as u64 {
            let log = self.tail(INLINE_LOG);
            return match self.trouble.take() {
                Some(error) => Err(failed(error)),
                None => Ok(Printed::Inline(log)),
            };
        }
        let Some(scratch) = self.file.take() else {
            return Ok(Printed::Inline(std::mem::take(&mut self.memory)));
        };
        if let Err(error) = scratch.file.set_len(self.length) {
            return Err(failed(error));
        }
        Ok(Printed::Blob(self.store.adopt_file(&scratch.path)?))
    }
}

#[cfg(test)]
mod tests {
    use gofarm_store::DiskStoreOptions;

    use super::*;

    fn store(folder: &tempfile::TempDir) -> DiskStore {
        DiskStore::open(folder.path(), DiskStoreOptions::default()).unwrap()
    }

    fn left(store: &DiskStore) -> usize {
        fs::read_dir(store.scratch_dir()).unwrap().count()
    }

    #[test]
    fn little_stays_in_memory_and_much_becomes_a_blob() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let mut spool = Spool::new(store.clone());
        let bytes: Vec<u8> = (0..INLINE_LOG).map(|i| i as u8).collect();
        spool.push(&bytes);
        assert!(!spool.is_file());
        assert_eq!(spool.finish().unwrap(), Printed::Inline(bytes.clone()));

        let mut spool = Spool::new(store.clone());
        for _ in 0..200 {
            spool.push(&bytes);
        }
        assert_eq!(spool.memory.capacity(), 0);
        let mut read = Vec::new();
        spool.each(INLINE_LOG as u64, |piece| {
            assert!(piece.len() <= PIECE);
            read.extend_from_slice(piece);
        });
        assert!(read == bytes.repeat(199));
        assert_eq!(spool.tail(3), &bytes[INLINE_LOG - 3..]);
        spool.truncate(150 * INLINE_LOG as u64);
        spool.push(b"end");
        let Printed::Blob(digest) = spool.finish().unwrap() else {
            panic!("no blob");
        };
        let expected = [&bytes.repeat(150)[..], b"end"].concat();
        assert!(store.read(&digest).unwrap() == expected);
        assert_eq!(left(&store), 0);
    }

    #[test]
    fn what_was_much_and_is_little_again_is_no_blob() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let mut spool = Spool::new(store.clone());
        spool.push(b"one\n");
        spool.push(&vec![b'x'; 10 * INLINE_LOG]);
        spool.truncate(4);
        spool.push(b"two\n");
        assert_eq!(
            spool.finish().unwrap(),
            Printed::Inline(b"one\ntwo\n".to_vec())
        );
        assert_eq!(left(&store), 0);
    }

    #[test]
    fn a_spool_that_is_let_go_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let mut spool = Spool::new(store.clone());
        spool.push(&vec![b'x'; 10 * INLINE_LOG]);
        assert_eq!(left(&store), 1);
        drop(spool);
        assert_eq!(left(&store), 0);
    }

    #[test]
    fn what_cannot_be_kept_is_told_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let mut spool = Spool::new(store.clone());
        fs::remove_dir(store.scratch_dir()).unwrap();
        spool.push(&vec![b'x'; 10 * INLINE_LOG]);
        assert!(spool.is_broken());
        spool.push(b"more");
        let error = spool.finish().unwrap_err().to_string();
        assert!(
            error.starts_with("keeping the output of tools in "),
            "{error}"
        );
    }
}
