//! What tools print: bounded, in order, with virtual paths, and passed on while they run. Whatever its length, little of it
//! is in memory.

use std::collections::HashMap;

use gofarm_proto::EXEC_ROOT;
use gofarm_store::DiskStore;
use memchr::memmem;

use super::said::Said;
use super::sink::LogSink;
use super::spool::Spool;

/// At most this much output of an action is kept, bytes. What comes after is read, so that the tools go on, and dropped.
pub const LOG_LIMIT: usize = 16 << 20;

const CUT_NOTE: &[u8] =
    b"\ngofarm: the rest of this output is left out: it is longer than 16 MiB\n";

/// A line longer than this is passed on in pieces.
const LONGEST_LINE: usize = 64 << 10;

/// How much of the output goes with an error that is no result, bytes.
const TAIL: usize = 16 << 10;

/// Length of `/ab/<64 hex digits>`, the name of a blob below the store's folder.
const BLOB_NAME: usize = 4 + 64;

/// How paths of this machine in the output are turned back into virtual ones.
#[derive(Debug, Default)]
pub(crate) struct PathsBack {
    /// The exec root as tools see it, where that is not its virtual path.
    pub exec_root: Option<String>,
    /// The store's folder as tools see it.
    pub store: String,
    /// By the hex name of the blob: the virtual path of a by-reference input.
    pub blobs: HashMap<String, String>,
}

impl PathsBack {
    fn apply(&self, mut text: Vec<u8>) -> Vec<u8> {
        if let Some(real) = &self.exec_root
            && memmem::find(&text, real.as_bytes()).is_some()
        {
            text = replace(&text, real, |_| Some((0, EXEC_ROOT)));
        }
        if !self.blobs.is_empty() && memmem::find(&text, self.store.as_bytes()).is_some() {
            text = replace(&text, &self.store, |rest| {
                let name = std::str::from_utf8(rest.get(4..BLOB_NAME)?).ok()?;
                Some((BLOB_NAME, self.blobs.get(name)?))
            });
        }
        text
    }
}

/// Replaces `needle`, and as many bytes after it as `with` says of what follows it.
fn replace<'a>(
    text: &[u8],
    needle: &str,
    with: impl Fn(&[u8]) -> Option<(usize, &'a str)>,
) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(text.len());
    let mut copied = 0;
    for at in memmem::find_iter(text, needle) {
        let end = at + needle.len();
        if let Some((more, new)) = with(&text[end..]) {
            replaced.extend_from_slice(&text[copied..at]);
            replaced.extend_from_slice(new.as_bytes());
            copied = end + more;
        }
    }
    replaced.extend_from_slice(&text[copied..]);
    replaced
}

/// The log of one execution.
pub(crate) struct Log<'a> {
    sink: &'a dyn LogSink,
    back: PathsBack,
    kept: Spool,
    /// The begun line.
    line: Vec<u8>,
    /// Where the output of the current step begins in `kept`.
    step: u64,
    /// What is known of the output of the current step.
    said: Said,
    /// The last byte that was kept.
    last: Option<u8>,
    /// The current step's output is not passed on before it is known to be wanted.
    held: bool,
    full: bool,
}

impl<'a> Log<'a> {
    /// An empty log. What is much is kept in the store's scratch folder.
    pub fn new(sink: &'a dyn LogSink, back: PathsBack, store: DiskStore) -> Log<'a> {
        Log {
            sink,
            back,
            kept: Spool::new(store),
            line: Vec::new(),
            step: 0,
            said: Said::default(),
            last: None,
            held: false,
            full: false,
        }
    }

    /// A step begins. What it prints is held back if it may have to be discarded.
    pub fn begin_step(&mut self, held: bool) {
        self.step = self.kept.len();
        self.said = Said::default();
        self.held = held;
    }

    /// Takes output of the current step.
    pub fn push(&mut self, chunk: &[u8]) {
        if self.full {
            return;
        }
        self.line.extend_from_slice(chunk);
        let whole = match memchr::memrchr(b'\n', &self.line) {
            Some(end) => end + 1,
            // A path across this seam stays as the machine calls it; such a line is not made for people.
            None if self.line.len() > LONGEST_LINE => self.line.len(),
            None => return,
        };
        let rest = self.line.split_off(whole);
        let lines = std::mem::replace(&mut self.line, rest);
        self.keep(lines);
    }

    fn keep(&mut self, lines: Vec<u8>) {
        let mut text = self.back.apply(lines);
        let room = (LOG_LIMIT as u64).saturating_sub(self.kept.len());
        if text.len() as u64 > room {
            text.truncate(room as usize);
            text.extend_from_slice(CUT_NOTE);
            self.full = true;
            self.line = Vec::new();
        }
        if !self.held {
            self.sink.log(&text);
        }
        self.said.hear(&text);
        self.add(&text);
    }

    fn add(&mut self, text: &[u8]) {
        self.kept.push(text);
        self.last = text.last().copied().or(self.last);
    }

    /// Takes the begun line as a whole one.
    pub fn end_line(&mut self) {
        if !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            self.keep(line);
        }
    }

    /// The step has ended. With `discard`, it is as if it had printed nothing.
    pub fn end_step(&mut self, discard: bool) {
        self.end_line();
        if discard {
            self.kept.truncate(self.step);
            self.last = self.kept.tail(1).pop();
            self.full = false;
        } else if self.held {
            let sink = self.sink;
            self.kept.each(self.step, |piece| {
                if !piece.is_empty() {
                    sink.log(piece);
                }
            });
        }
        self.held = false;
    }

    /// What the current step, or the one that has just ended, has said so far.
    pub fn said(&self) -> &Said {
        &self.said
    }

    /// Adds a line of our own.
    pub fn note(&mut self, text: &str) {
        let mut line = Vec::new();
        if self.last.is_some_and(|last| last != b'\n') {
            line.push(b'\n');
        }
        line.extend_from_slice(text.as_bytes());
        line.push(b'\n');
        self.sink.log(&line);
        self.add(&line);
    }

    /// The end of what was kept, for an error.
    pub fn tail(&mut self) -> Vec<u8> {
        self.end_step(false);
        self.kept.tail(TAIL)
    }

    /// Everything that was kept.
    pub fn finish(&mut self) -> Spool {
        self.end_step(false);
        self.kept.take()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use gofarm_store::DiskStoreOptions;

    use super::*;
    use crate::printed::Printed;

    struct Logs {
        folder: tempfile::TempDir,
        store: DiskStore,
    }

    impl Logs {
        fn new() -> Logs {
            let folder = tempfile::tempdir().unwrap();
            let store = DiskStore::open(folder.path(), DiskStoreOptions::default()).unwrap();
            Logs { folder, store }
        }

        fn log<'a>(&self, sink: &'a dyn LogSink, back: PathsBack) -> Log<'a> {
            assert!(self.folder.path().is_dir());
            Log::new(sink, back, self.store.clone())
        }

        fn read(&self, log: &mut Log<'_>) -> Vec<u8> {
            match log.finish().finish().unwrap() {
                Printed::Inline(log) => log,
                Printed::Blob(digest) => self.store.read(&digest).unwrap(),
            }
        }
    }

    #[derive(Default)]
    struct Watched(Mutex<Vec<Vec<u8>>>);

    impl LogSink for Watched {
        fn log(&self, chunk: &[u8]) {
            self.0.lock().unwrap().push(chunk.to_owned());
        }
    }

    impl Watched {
        fn chunks(&self) -> Vec<String> {
            let chunks = self.0.lock().unwrap();
            chunks
                .iter()
                .map(|c| String::from_utf8_lossy(c).into_owned())
                .collect()
        }
    }

    #[test]
    fn paths_are_turned_back_even_when_they_come_in_pieces() {
        let watched = Watched::default();
        let hex = "ab".repeat(32);
        let back = PathsBack {
            exec_root: Some("/s/1/x".to_owned()),
            store: "/s/cas".to_owned(),
            blobs: [(hex.clone(), "/__gofarm__/in/1/export".to_owned())].into(),
        };
        let logs = Logs::new();
        let mut log = logs.log(&watched, back);
        log.begin_step(false);
        for piece in [
            "/s/1",
            "/x/w/a.go:1\nopen /s/cas/ab/",
            &hex,
            ": bad\n/s/cas/zz\nend /s/1/x",
        ] {
            log.push(piece.as_bytes());
        }
        let expected =
            "/__gofarm__/w/a.go:1\nopen /__gofarm__/in/1/export: bad\n/s/cas/zz\nend /__gofarm__";
        assert_eq!(String::from_utf8(logs.read(&mut log)).unwrap(), expected);
        assert_eq!(watched.chunks().concat(), expected);
    }

    #[test]
    fn a_discarded_step_was_never_seen() {
        let watched = Watched::default();
        let logs = Logs::new();
        let mut log = logs.log(&watched, PathsBack::default());
        log.begin_step(false);
        log.push(b"one\n");
        log.end_step(false);
        log.begin_step(true);
        log.push(b"two\n");
        log.end_step(true);
        log.begin_step(true);
        log.push(b"three");
        log.end_step(false);
        assert_eq!(logs.read(&mut log), b"one\nthree");
        assert_eq!(watched.chunks(), ["one\n", "three"]);
    }

    #[test]
    fn output_beyond_the_limit_is_cut_with_a_note() {
        let logs = Logs::new();
        let mut log = logs.log(&(), PathsBack::default());
        log.begin_step(false);
        let line = [b'a'; 1023]
            .iter()
            .chain(b"\n")
            .copied()
            .collect::<Vec<_>>();
        for _ in 0..(LOG_LIMIT / 1024 + 1000) {
            log.push(&line);
        }
        let kept = logs.read(&mut log);
        assert_eq!(kept.len(), LOG_LIMIT + CUT_NOTE.len());
        assert!(kept.ends_with(CUT_NOTE));
    }

    #[test]
    fn a_line_without_an_end_takes_no_more_memory_than_a_long_one() {
        let logs = Logs::new();
        let mut log = logs.log(&(), PathsBack::default());
        log.begin_step(false);
        let piece = [b'x'; 16 << 10];
        for _ in 0..640 {
            log.push(&piece);
            assert!(log.line.capacity() <= 4 * LONGEST_LINE);
        }
        log.end_line();
        log.note("gofarm: noted");
        let kept = logs.read(&mut log);
        assert!(kept == [&b"x".repeat(10 << 20)[..], b"\ngofarm: noted\n"].concat());
    }

    #[test]
    fn a_long_step_that_is_discarded_was_never_seen_and_one_that_is_not_is_seen_whole() {
        let watched = Watched::default();
        let logs = Logs::new();
        let mut log = logs.log(&watched, PathsBack::default());
        let line = [b'a'; 1023].iter().chain(b"\n").copied();
        let lines = line.collect::<Vec<_>>().repeat(300);
        log.begin_step(false);
        log.push(b"first");
        log.end_step(false);
        for discard in [true, false] {
            log.begin_step(true);
            log.push(&lines);
            assert_eq!(watched.chunks(), ["first"]);
            log.end_step(discard);
        }
        assert!(watched.chunks().concat().as_bytes() == [b"first", &lines[..]].concat());
        assert!(logs.read(&mut log) == [b"first", &lines[..]].concat());
    }
}
