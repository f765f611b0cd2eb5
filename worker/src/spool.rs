//! Bytes that come piece by piece: few are in memory, many in a file.

use gofarm_proto::{Digest, INLINE_LOG};
use gofarm_store::{DiskStore, Draft, StoreError};

use crate::error::Result;
use crate::executor::blocking;

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

/// Up to [`INLINE_LOG`] bytes take memory, more only the disk: a draft of the blob that they will be. When it cannot be
/// written, what comes is let go, and [`finish`](Spool::finish) says so.
///
/// Whoever prints waits for the page cache at most, as it would itself with its output in a file.
#[derive(Debug)]
pub(crate) struct Spool {
    store: DiskStore,
    memory: Vec<u8>,
    /// Has everything, once it is there.
    draft: Option<Draft>,
    length: u64,
    trouble: Option<StoreError>,
}

impl Spool {
    /// Nothing yet.
    pub fn new(store: DiskStore) -> Spool {
        Spool {
            store,
            memory: Vec::new(),
            draft: None,
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
    fn is_spilled(&self) -> bool {
        self.draft.is_some()
    }

    /// Adds bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.trouble.is_none()
            && let Err(error) = self.write(bytes)
        {
            self.trouble = Some(error);
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        if self.draft.is_none() && self.memory.len() + bytes.len() > INLINE_LOG {
            let draft = self.store.draft()?;
            draft.write_at(&self.memory, 0)?;
            self.memory = Vec::new();
            self.draft = Some(draft);
        }
        match &self.draft {
            Some(draft) => draft.write_at(bytes, self.length)?,
            None => self.memory.extend_from_slice(bytes),
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Lets go of everything behind the first `length` bytes.
    pub fn truncate(&mut self, length: u64) {
        // A draft keeps its length: what is left behind the end is written over, or cut off at last.
        self.length = self.length.min(length);
        self.memory
            .truncate(usize::try_from(length).unwrap_or(usize::MAX));
    }

    /// Hands out what there is from `start` on, in pieces.
    pub fn each(&mut self, start: u64, mut piece: impl FnMut(&[u8])) {
        let Some(draft) = &self.draft else {
            let start = usize::try_from(start).unwrap_or(usize::MAX);
            return piece(self.memory.get(start..).unwrap_or_default());
        };
        let mut at = start;
        let mut buffer = vec![0; PIECE];
        while at < self.length {
            let wanted = (self.length - at).min(PIECE as u64) as usize;
            if let Err(error) = draft.read_at(&mut buffer[..wanted], at) {
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

    /// As [`finish`](Spool::finish), and nobody else waits for the disk.
    pub async fn settle(self) -> Result<Printed> {
        match self.is_spilled() {
            true => blocking(move || self.finish()).await,
            false => self.finish(),
        }
    }

    /// All of it. What is more than [`INLINE_LOG`] has become a blob of the store.
    ///
    /// # Errors
    ///
    /// The store is full, and what else it says of the draft.
    pub fn finish(mut self) -> Result<Printed> {
        // What is left of much may be little.
        let few = (self.length <= INLINE_LOG as u64).then(|| self.tail(INLINE_LOG));
        if let Some(error) = self.trouble {
            return Err(error.into());
        }
        match (few, self.draft) {
            (Some(few), _) => Ok(Printed::Inline(few)),
            (None, Some(draft)) => Ok(Printed::Blob(draft.finish(self.length)?)),
            (None, None) => Ok(Printed::Inline(self.memory)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use gofarm_store::DiskStoreOptions;

    use super::*;
    use crate::error::ExecuteError;

    fn store(folder: &tempfile::TempDir) -> DiskStore {
        DiskStore::open(folder.path(), DiskStoreOptions::default()).unwrap()
    }

    /// Where drafts are, beside the scratch folder.
    fn drafts(store: &DiskStore) -> PathBuf {
        store.scratch_dir().with_file_name("ingest")
    }

    fn left(store: &DiskStore) -> usize {
        fs::read_dir(drafts(store)).unwrap().count()
    }

    #[test]
    fn little_stays_in_memory_and_much_becomes_a_blob() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let mut spool = Spool::new(store.clone());
        let bytes: Vec<u8> = (0..INLINE_LOG).map(|i| i as u8).collect();
        spool.push(&bytes);
        assert!(!spool.is_spilled());
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
        fs::remove_dir(drafts(&store)).unwrap();
        spool.push(&vec![b'x'; 10 * INLINE_LOG]);
        assert!(spool.is_broken());
        spool.push(b"more");
        let error = spool.finish().unwrap_err();
        assert!(matches!(error, ExecuteError::Store(_)), "{error}");
    }
}
