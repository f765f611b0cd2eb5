//! Where the bytes of an upload come from.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use bytes::Bytes;
use gofarm_proto::Digest;

use super::error::BlobError;

/// Where the bytes of a blob are.
#[derive(Debug, Clone)]
pub enum Source {
    /// In memory.
    Bytes(Bytes),
    /// In a file. It is compared with the digest as it is read.
    File(PathBuf),
}

impl Source {
    /// What to call it in an error.
    pub(super) fn name(&self) -> String {
        match self {
            Source::Bytes(bytes) => format!("{} bytes in memory", bytes.len()),
            Source::File(path) => path.display().to_string(),
        }
    }

    pub(super) fn changed(&self, digest: Digest) -> BlobError {
        BlobError::Changed {
            name: self.name(),
            digest,
        }
    }

    /// All the bytes, if they are those of the digest. Blocks.
    pub(super) fn load(&self, digest: Digest) -> Result<Bytes, BlobError> {
        let mut pieces = self.pieces(digest)?;
        // A piece as large as the blob is the whole of it.
        pieces.next(usize::try_from(digest.size).unwrap_or(usize::MAX))
    }

    /// Reads it a piece at a time. Blocks.
    pub(super) fn pieces(&self, digest: Digest) -> Result<Pieces, BlobError> {
        let reader = match self {
            Source::Bytes(bytes) => Reader::Bytes(bytes.clone()),
            Source::File(path) => {
                Reader::File(File::open(path).map_err(|e| self.unreadable(path, e))?)
            }
        };
        Ok(Pieces {
            source: self.clone(),
            digest,
            reader,
            hasher: Box::default(),
            checked: false,
            position: 0,
        })
    }

    fn unreadable(&self, path: &std::path::Path, source: io::Error) -> BlobError {
        BlobError::Unreadable {
            path: path.to_owned(),
            source,
        }
    }
}

/// A source that is being read.
pub(super) struct Pieces {
    source: Source,
    digest: Digest,
    reader: Reader,
    hasher: Box<blake3::Hasher>,
    position: u64,
    checked: bool,
}

enum Reader {
    Bytes(Bytes),
    File(File),
}

impl Pieces {
    /// How many bytes were read.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The next bytes, `most` of them unless the blob ends before. Nothing at its end. The last ones are handed out
    /// only when all of them are the digest's. Blocks.
    pub(super) fn next(&mut self, most: usize) -> Result<Bytes, BlobError> {
        let left = self.digest.size - self.position;
        let wanted = usize::try_from(left).map_or(most, |left| left.min(most));
        let piece = self.read(wanted)?;
        self.hasher.update(&piece);
        self.position += piece.len() as u64;
        if self.position == self.digest.size && !self.checked {
            self.checked = true;
            let more = !self.read(1)?.is_empty();
            if more || self.hasher.finalize() != self.digest.hash {
                return Err(self.source.changed(self.digest));
            }
        } else if piece.len() < wanted {
            return Err(self.source.changed(self.digest));
        }
        Ok(piece)
    }

    fn read(&mut self, most: usize) -> Result<Bytes, BlobError> {
        match &mut self.reader {
            Reader::Bytes(bytes) => Ok(bytes.split_to(most.min(bytes.len()))),
            Reader::File(file) => {
                let mut piece = Vec::with_capacity(most);
                match file.take(most as u64).read_to_end(&mut piece) {
                    Ok(_) => Ok(piece.into()),
                    Err(source) => Err(BlobError::Unreadable {
                        path: self.source.name().into(),
                        source,
                    }),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(source: &Source, digest: Digest) -> bool {
        matches!(source.load(digest), Err(BlobError::Changed { .. }))
    }

    #[test]
    fn a_source_that_is_longer_shorter_or_other_is_seen() {
        let digest = Digest::of(b"hello");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f");
        for content in ["hello", "hello!", "hell", "", "jello"] {
            std::fs::write(&file, content).unwrap();
            for source in [
                Source::File(file.clone()),
                Source::Bytes(Bytes::from_static(content.as_bytes())),
            ] {
                assert_eq!(changed(&source, digest), content != "hello", "{content:?}");
            }
        }
    }

    #[test]
    fn an_empty_blob_has_an_empty_source() {
        let empty = Digest::of(b"");
        assert!(Source::Bytes(Bytes::new()).load(empty).unwrap().is_empty());
        assert!(changed(&Source::Bytes(Bytes::from_static(b"x")), empty));
    }
}
