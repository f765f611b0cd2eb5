//! How bytes come into the CAS.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Instant;

use gofarm_proto::Digest;

use crate::disk::DiskStore;
use crate::error::{Result, StoreError};
use crate::harmless;
use crate::seal::seal;
use crate::temporary::TemporaryFile;

/// Large enough for BLAKE3 to use its widest instructions and for few system calls.
const BUFFER: usize = 256 << 10;
/// Enough for most sources.
const SMALL_BUFFER: usize = 4 << 10;

impl DiskStore {
    /// Stores these bytes. Free when they are here already.
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of(bytes);
        if !self.present(&digest)? {
            let mut temporary = self.inner.own.file()?;
            temporary
                .file
                .write_all(bytes)
                .map_err(self.failed("write", temporary.path()))?;
            self.finish(temporary, &digest)?;
        }
        Ok(digest)
    }

    /// Stores a copy of a file. What is hashed is what is stored, also when the file changes meanwhile.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotAFile`] for a folder or device; a symbolic link is followed.
    pub fn put_file(&self, path: &Path) -> Result<Digest> {
        let mut source = self.open_regular(path)?;
        let mut temporary = self.inner.own.file()?;
        let digest = self.copy(&mut source, path, &mut temporary)?;
        if !self.present(&digest)? {
            self.finish(temporary, &digest)?;
        }
        Ok(digest)
    }

    /// True when the blob is here, sound, and marked as used. Verified, since the right bytes are at hand and are about to be
    /// let go.
    pub(crate) fn present(&self, digest: &Digest) -> Result<bool> {
        match self.verified(digest, Instant::now()) {
            Ok(_) => Ok(true),
            Err(e) if e.is_lost_blob() => Ok(false),
            Err(e) => Err(e),
        }
    }

    fn open_regular(&self, path: &Path) -> Result<File> {
        // Looked at before it is opened: opening a pipe waits for its writer.
        let metadata = fs::metadata(path).map_err(self.failed("read", path))?;
        if !metadata.is_file() {
            return Err(StoreError::NotAFile {
                path: path.to_owned(),
            });
        }
        harmless::open(path).map_err(self.failed("read", path))
    }

    /// Copies everything from the source's position to its end. The digest is that of the copy.
    pub(crate) fn copy(
        &self,
        source: &mut File,
        path: &Path,
        to: &mut TemporaryFile,
    ) -> Result<Digest> {
        let mut hasher = blake3::Hasher::new();
        let mut buffer = buffer_for(source);
        let mut size = 0;
        loop {
            let n = read_some(source, &mut buffer).map_err(self.failed("read", path))?;
            if n == 0 {
                break;
            }
            hasher.update(&buffer[..n]);
            to.file
                .write_all(&buffer[..n])
                .map_err(self.failed("write", to.path()))?;
            size += n as u64;
        }
        Ok(Digest {
            hash: *hasher.finalize().as_bytes(),
            size,
        })
    }

    /// Sealed before it has its name, so that nobody sees it unsealed. Where another process was faster,
    /// its file is replaced by the same bytes.
    pub(crate) fn finish(&self, mut temporary: TemporaryFile, digest: &Digest) -> Result<()> {
        let path = self.path(digest);
        seal(&temporary.file).map_err(self.failed("seal", temporary.path()))?;
        temporary
            .rename(&path)
            .map_err(self.failed("store a blob as", &path))?;
        self.wrote(digest, &temporary.file);
        self.count(digest.size)
    }

    pub(crate) fn count(&self, size: u64) -> Result<()> {
        let inner = &self.inner;
        inner.tally.add(size, &inner.gate, &inner.own)
    }
}

/// The digest of everything from the file's position to its end.
pub(crate) fn hash(mut file: &File) -> io::Result<Digest> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = buffer_for(file);
    let mut size = 0;
    loop {
        let n = read_some(&mut file, &mut buffer)?;
        if n == 0 {
            return Ok(Digest {
                hash: *hasher.finalize().as_bytes(),
                size,
            });
        }
        hasher.update(&buffer[..n]);
        size += n as u64;
    }
}

/// A buffer that is no larger than the file has use for: a large one costs a mapping and its removal, which in a process with
/// many threads interrupts all CPUs.
fn buffer_for(file: &File) -> Vec<u8> {
    let length = file.metadata().map_or(BUFFER as u64, |file| file.len());
    let length = usize::try_from(length).unwrap_or(BUFFER);
    vec![0; length.clamp(SMALL_BUFFER, BUFFER)]
}

fn read_some(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(buffer) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}
