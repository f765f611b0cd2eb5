//! Bytes that come piece by piece: few are in memory, many in a file.

use gofarm_proto::INLINE_LOG;
use gofarm_store::{DiskStore, Draft, StoreError};

use super::ends::Ends;
use crate::blocking::blocking;
use crate::error::{ExecuteError, Result};
use crate::printed::Printed;

/// What is read back at once.
const PIECE: usize = 64 << 10;

/// Up to [`INLINE_LOG`] bytes take memory, more only the disk: a draft of the blob that they will be. When it cannot be
/// written, no more than the beginning and the end is kept, and [`finish`](Spool::finish) says so.
///
/// Whoever prints waits for the page cache at most, as it would itself with its output in a file.
#[derive(Debug)]
pub(crate) struct Spool {
    store: DiskStore,
    memory: Vec<u8>,
    /// Has everything, once it is there.
    draft: Option<Draft>,
    length: u64,
    remains: Option<Remains>,
}

/// Why not everything is there any more, and what is.
#[derive(Debug)]
struct Remains {
    error: StoreError,
    ends: Ends,
}

/// What cannot be kept as a whole.
#[derive(Debug)]
pub(crate) struct Unkept {
    /// Why.
    pub error: ExecuteError,
    /// Its beginning and its end, with a line between that says so: at most [`INLINE_LOG`] bytes.
    pub cut: Vec<u8>,
}

impl From<Box<Unkept>> for ExecuteError {
    fn from(unkept: Box<Unkept>) -> ExecuteError {
        unkept.error
    }
}

impl Spool {
    /// Nothing yet.
    pub fn new(store: DiskStore) -> Spool {
        Spool {
            store,
            memory: Vec::new(),
            draft: None,
            length: 0,
            remains: None,
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

    /// Whether [`finish`](Spool::finish) has to do with the disk.
    fn is_spilled(&self) -> bool {
        self.draft.is_some()
    }

    /// Adds bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.remains.is_none() {
            match self.write(bytes) {
                Ok(()) => return,
                Err(error) => self.fall_back(error),
            }
        }
        if let Some(remains) = &mut self.remains {
            remains.ends.push(bytes);
            self.length += bytes.len() as u64;
        }
    }

    /// Goes on with no more than both ends. The draft's space is free then.
    fn fall_back(&mut self, error: StoreError) {
        let ends = self.ends();
        self.memory = Vec::new();
        self.draft = None;
        self.remains = Some(Remains { error, ends });
    }

    /// Both ends of what is there. What cannot be read is left out.
    fn ends(&self) -> Ends {
        Ends::of(self.length, |at, buffer| match &self.draft {
            Some(draft) => draft.read_at(buffer, at).is_ok(),
            None => {
                let start = usize::try_from(at).unwrap_or(usize::MAX);
                let bytes = self.memory.get(start..).unwrap_or_default();
                bytes
                    .get(..buffer.len())
                    .map(|bytes| buffer.copy_from_slice(bytes))
                    .is_some()
            }
        })
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
        if let Some(remains) = &mut self.remains {
            remains.ends.truncate(length);
        }
    }

    /// Hands out what there is from `start` on, in pieces.
    pub fn each(&mut self, start: u64, mut piece: impl FnMut(&[u8])) {
        if let Some(remains) = &self.remains {
            return remains.ends.each(start, piece);
        }
        let Some(draft) = &self.draft else {
            let start = usize::try_from(start).unwrap_or(usize::MAX);
            return piece(self.memory.get(start..).unwrap_or_default());
        };
        let mut at = start;
        let mut buffer = vec![0; PIECE];
        while at < self.length {
            let wanted = (self.length - at).min(PIECE as u64) as usize;
            if let Err(error) = draft.read_at(&mut buffer[..wanted], at) {
                return self.fall_back(error);
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
        Ok(self.end().await??)
    }

    /// As [`settle`](Spool::settle), of an action that has failed: what cannot be kept as a whole is cut, since nobody should
    /// have to make room to hear what is wrong with their code.
    pub async fn settle_failed(self) -> Result<Printed> {
        let ended = self.end().await?;
        Ok(ended.unwrap_or_else(|unkept| Printed::Inline(unkept.cut)))
    }

    async fn end(self) -> Result<Result<Printed, Box<Unkept>>> {
        match self.is_spilled() {
            true => blocking(move || Ok(self.finish())).await,
            false => Ok(self.finish()),
        }
    }

    /// All of it. What is more than [`INLINE_LOG`] has become a blob of the store.
    ///
    /// # Errors
    ///
    /// The store is full, and what else it says of the draft.
    pub fn finish(mut self) -> Result<Printed, Box<Unkept>> {
        // What is left of much may be little.
        let few = (self.length <= INLINE_LOG as u64).then(|| self.tail(INLINE_LOG));
        if let Some(Remains { error, ends }) = self.remains {
            return match few {
                Some(few) if ends.is_whole() => Ok(Printed::Inline(few)),
                _ => Err(unkept(error, &ends)),
            };
        }
        if let Some(few) = few {
            return Ok(Printed::Inline(few));
        }
        let ends = self.ends();
        match self.draft {
            Some(draft) => {
                let kept = draft.finish(self.length);
                kept.map(Printed::Blob)
                    .map_err(|error| unkept(error, &ends))
            }
            None => Ok(Printed::Inline(self.memory)),
        }
    }
}

fn unkept(error: StoreError, ends: &Ends) -> Box<Unkept> {
    let error = ExecuteError::from(error);
    let cut = ends.text(&error.to_string());
    Box::new(Unkept { error, cut })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use gofarm_store::DiskStoreOptions;

    use super::*;

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

    /// Breaks the store when so much has come, and hands out what came and what is left of it.
    fn cut(lines: usize, broken_at: usize, discarded: usize) -> (String, Box<Unkept>) {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let mut spool = Spool::new(store.clone());
        let mut came = String::new();
        for number in 0..lines {
            if number == broken_at {
                fs::remove_dir_all(drafts(&store)).unwrap();
            }
            let line = format!("x.go:{number}:1: undefined: y\n");
            spool.push(line.as_bytes());
            came.push_str(&line);
        }
        let step = spool.len();
        for _ in 0..discarded {
            spool.push(b"never seen\n");
        }
        spool.truncate(step);
        (came, spool.finish().unwrap_err())
    }

    #[test]
    fn of_what_cannot_be_kept_there_are_the_beginning_and_the_end() {
        // Before a draft is there, and when its blob is to be made.
        for (broken_at, discarded) in [(0, 0), (9_999, 0), (0, 100), (9_999, 100)] {
            let (came, unkept) = cut(10_000, broken_at, discarded);
            assert!(unkept.cut.len() <= INLINE_LOG && unkept.cut.len() > INLINE_LOG * 3 / 4);
            let text = String::from_utf8(unkept.cut).unwrap();
            let (beginning, rest) = text.split_once("gofarm: ").unwrap();
            let (note, end) = rest.split_once('\n').unwrap();
            assert!(came.starts_with(beginning) && beginning.ends_with("y\n"));
            assert!(came.ends_with(end) && end.starts_with("x.go:"), "{end}");
            let lost = came.len() - beginning.len() - end.len();
            let told = format!("{lost} bytes are left out here, they cannot be kept: ");
            let why = note.strip_prefix(&told).unwrap();
            assert_eq!(why, unkept.error.to_string());
        }
    }

    #[test]
    fn a_long_step_that_is_discarded_is_seen_in_no_end() {
        let (came, unkept) = cut(1_000, 0, 10_000);
        let text = String::from_utf8(unkept.cut).unwrap();
        assert!(!text.contains("never seen"));
        let (beginning, _) = text.split_once("gofarm: ").unwrap();
        assert!(came.starts_with(beginning) && !beginning.is_empty());
    }

    /// A spool that gets no draft.
    fn without_room() -> (tempfile::TempDir, Spool) {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        fs::remove_dir(drafts(&store)).unwrap();
        (folder, Spool::new(store))
    }

    #[test]
    fn what_was_too_much_and_is_little_again_is_kept() {
        let (_folder, mut spool) = without_room();
        spool.push(b"one\n");
        spool.push(&vec![b'x'; 10 * INLINE_LOG]);
        spool.truncate(4);
        spool.push(b"two\n");
        let kept = spool.finish().unwrap();
        assert_eq!(kept, Printed::Inline(b"one\ntwo\n".to_vec()));
    }

    #[test]
    fn what_cannot_be_kept_is_told_at_the_end() {
        let (_folder, mut spool) = without_room();
        spool.push(&vec![b'x'; 10 * INLINE_LOG]);
        assert!(spool.remains.is_some());
        spool.push(b"more");
        let error = spool.finish().unwrap_err().error;
        assert!(matches!(error, ExecuteError::Store(_)), "{error}");
    }
}
