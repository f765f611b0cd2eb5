//! Blobs in an object store.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Instant;

use futures::{StreamExt, TryStreamExt, stream};
use gofarm_proto::Digest;
use object_store::path::Path;
use object_store::{
    Error, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload,
    WriteMultipart,
};

use super::blocking;
use super::recent::Recent;
use super::sound::Sound;
use super::used::{Id, Used, is_old};
use crate::layout::unique_name;
use crate::{BlobReader, DiskStore, Result, StoreError};

/// The layout that this version reads and writes.
const FORMAT: &[u8] = b"gofarm store 1\n";

/// Larger blobs are moved in parts of this size, so that each request ends in time on a slow link and a lost one costs
/// little. The largest blob has 10,000 of them.
pub(super) const PART: usize = 8 << 20;

/// Parts of one blob on their way at once.
pub(super) const PARTS: usize = 4;

/// Questions of one call on their way at once. An object store answers each after some 10 ms: 10,000 take 2 s.
const QUESTIONS: usize = 64;

/// Below one prefix of a bucket:
///
/// ```text
/// format                           the version of this layout
/// cas/ab/<64 hex digits>           blobs
/// actions/ab/<64 hex digits>       action results, with a checksum
/// findings/<key>.<hash>            results of actions that gave different outputs for one key
/// invalidations/<time>-<unique>    notes of results that have been taken back
/// used/<time>-<unique>             notes of what was used, see `used.rs`
/// quarantine/<64 hex digits>.<n>   blobs and entries that turned out damaged
/// ```
pub(super) struct Objects {
    pub(super) store: Box<dyn ObjectStore>,
    prefix: Path,
    url: String,
    pub(super) recent: Recent,
    pub(super) sound: Sound,
    pub(super) used: Used,
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Objects").field(&self.url).finish()
    }
}

impl Objects {
    pub(super) fn new(store: Box<dyn ObjectStore>, prefix: Path, url: String) -> Objects {
        Objects {
            store,
            prefix,
            url,
            recent: Recent::new(Instant::now()),
            sound: Sound::default(),
            used: Used::new(Instant::now()),
        }
    }

    /// Reads the format of the store, writing it where there is none.
    pub(super) async fn check(&self) -> Result<()> {
        let name = self.below(&["format"]);
        for _ in 0..2 {
            match self.store.get(&name).await {
                Ok(found) => {
                    let format = found.bytes().await.map_err(self.failed("read", &name))?;
                    if *format == *FORMAT {
                        return Ok(());
                    }
                    let found = String::from_utf8_lossy(&format);
                    return Err(StoreError::Address {
                        url: self.url.clone(),
                        reason: format!(
                            "another gofarm made it, with format {:?}",
                            found.trim_end()
                        ),
                    });
                }
                Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(self.failed("read", &name)(error)),
            }
            let format = PutPayload::from_static(FORMAT);
            match self
                .store
                .put_opts(&name, format, PutMode::Create.into())
                .await
            {
                Ok(_) => return Ok(()),
                // Another replica was faster; it is to be read after all.
                Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {}
                Err(error) => return Err(self.failed("store", &name)(error)),
            }
        }
        Err(StoreError::Objects {
            verb: "read",
            object: self.shown(&name),
            source: "it comes and goes".into(),
        })
    }

    /// Whether a store of this or another format is there.
    pub(super) async fn exists(&self) -> Result<bool> {
        let name = self.below(&["format"]);
        match self.store.head(&name).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(self.failed("look at", &name)(error)),
        }
    }

    /// Those of the blobs that are not there, in order.
    pub(super) async fn missing(&self, digests: Vec<Digest>) -> Result<Vec<Digest>> {
        let now = Instant::now();
        let unknown = digests
            .iter()
            .filter(|digest| !self.recent.contains(digest, now));
        let absent = self.absent(unknown.copied().collect()).await?;
        Ok(digests
            .into_iter()
            .filter(|digest| absent.contains(digest))
            .collect())
    }

    /// Those of the blobs that are not there, whatever was seen lately. That the others are in use is noted.
    pub(super) async fn absent(&self, digests: Vec<Digest>) -> Result<HashSet<Digest>> {
        let asked = stream::iter(digests)
            .map(|digest| async move { Ok((digest, self.look_for(digest).await?)) });
        let asked: Vec<(Digest, Seen)> = asked.buffer_unordered(QUESTIONS).try_collect().await?;
        let old = asked.iter().filter(|(_, seen)| *seen == Seen::Old);
        self.note_used(old.map(|(digest, _)| Id::blob(digest)).collect())
            .await;
        let absent = asked.into_iter().filter(|(_, seen)| *seen == Seen::Absent);
        Ok(absent.map(|(digest, _)| digest).collect())
    }

    /// Those of the blobs that are not there, without noting that the others are used.
    pub(super) async fn not_there(&self, digests: Vec<Digest>) -> Result<Vec<Digest>> {
        let asked = stream::iter(digests)
            .map(|digest| async move { Ok((digest, self.look_for(digest).await?)) });
        let asked: Vec<(Digest, Seen)> = asked.buffered(QUESTIONS).try_collect().await?;
        let absent = asked.into_iter().filter(|(_, seen)| *seen == Seen::Absent);
        Ok(absent.map(|(digest, _)| digest).collect())
    }

    /// A blob was found wrong: it is not there any more.
    pub(super) fn forget(&self, hash: &[u8; 32], size: u64) {
        self.recent.remove(&Digest { hash: *hash, size });
    }

    async fn look_for(&self, digest: Digest) -> Result<Seen> {
        let name = self.blob(&digest);
        match self.store.head(&name).await {
            Ok(meta) if meta.size == digest.size => {
                self.recent.insert(digest, Instant::now());
                Ok(match is_old(meta.last_modified.into()) {
                    true => Seen::Old,
                    false => Seen::Young,
                })
            }
            Ok(meta) => {
                self.set_aside(&name, &meta).await?;
                self.recent.remove(&digest);
                Ok(Seen::Absent)
            }
            Err(Error::NotFound { .. }) => {
                self.recent.remove(&digest);
                Ok(Seen::Absent)
            }
            Err(error) => Err(self.failed("look at", &name)(error)),
        }
    }

    /// Stores a blob that the folder has.
    pub(super) async fn put(&self, digest: Digest, local: &DiskStore) -> Result<()> {
        // Asked all the same: whoever brings a blob may have heard of another replica that it is gone, and might not be there
        // to bring it again.
        if self.recent.contains(&digest, Instant::now())
            && self.absent(vec![digest]).await?.is_empty()
        {
            return Ok(());
        }
        let name = self.blob(&digest);
        let store = local.clone();
        let mut reader = blocking(move || store.reader(&digest, 0)).await?;
        if digest.size <= PART as u64 {
            let (bytes, _) = piece(reader).await?;
            self.store
                .put(&name, PutPayload::from(bytes))
                .await
                .map_err(self.failed("store", &name))?;
        } else {
            let upload = self
                .store
                .put_multipart(&name)
                .await
                .map_err(self.failed("store", &name))?;
            let mut upload = WriteMultipart::new_with_chunk_size(upload, PART);
            let sent: Result<()> = async {
                loop {
                    let (bytes, rest) = piece(reader).await?;
                    reader = rest;
                    if bytes.is_empty() {
                        return Ok(());
                    }
                    let room = upload.wait_for_capacity(PARTS).await;
                    room.map_err(self.failed("store", &name))?;
                    upload.put(bytes.into());
                }
            }
            .await;
            match sent {
                Ok(()) => upload.finish().await.map_err(self.failed("store", &name))?,
                Err(error) => {
                    // Where even that fails, the bucket's rule for unfinished uploads removes the parts.
                    let _ = upload.abort().await;
                    return Err(error);
                }
            };
        }
        self.recent.insert(digest, Instant::now());
        Ok(())
    }

    /// Brings a blob to the folder.
    pub(super) async fn fetch(&self, digest: Digest, local: &DiskStore) -> Result<PathBuf> {
        let name = self.blob(&digest);
        let meta = match self.store.head(&name).await {
            Ok(meta) => meta,
            Err(Error::NotFound { .. }) => return Err(self.lost(digest)),
            Err(error) => return Err(self.failed("read", &name)(error)),
        };
        if meta.size != digest.size {
            return Err(self.damaged(digest, &name, &meta, local).await);
        }
        if is_old(meta.last_modified.into()) {
            self.note_used(vec![Id::blob(&digest)]).await;
        }
        let store = local.clone();
        let mut incoming = blocking(move || store.incoming(digest)).await?;
        let mut parts = stream::iter((0..digest.size).step_by(PART))
            .map(|start| self.part(&name, &meta, start))
            .buffered(PARTS);
        while let Some(part) = parts.next().await {
            let part = match part {
                Ok(part) => part,
                Err(Error::NotFound { .. } | Error::Precondition { .. }) => {
                    return Err(self.lost(digest));
                }
                Err(error) => return Err(self.failed("read", &name)(error)),
            };
            incoming = blocking(move || {
                incoming.write(&part)?;
                Ok(incoming)
            })
            .await?;
        }
        match blocking(move || incoming.finish()).await {
            Ok(path) => {
                self.recent.insert(digest, Instant::now());
                Ok(path)
            }
            Err(StoreError::WrongBytes { .. }) => {
                Err(self.damaged(digest, &name, &meta, local).await)
            }
            Err(error) => Err(error),
        }
    }

    /// Of the object that `meta` describes, not of one that has taken its place meanwhile.
    pub(super) async fn part(
        &self,
        name: &Path,
        meta: &ObjectMeta,
        start: u64,
    ) -> object_store::Result<bytes::Bytes> {
        let end = meta.size.min(start + PART as u64);
        let options = GetOptions {
            if_match: meta.e_tag.clone(),
            range: Some(GetRange::Bounded(start..end)),
            ..GetOptions::default()
        };
        self.store.get_opts(name, options).await?.bytes().await
    }

    fn lost(&self, digest: Digest) -> StoreError {
        self.recent.remove(&digest);
        StoreError::Missing { digest }
    }

    pub(super) async fn damaged(
        &self,
        digest: Digest,
        name: &Path,
        meta: &ObjectMeta,
        local: &DiskStore,
    ) -> StoreError {
        self.recent.remove(&digest);
        local.inner.corrupt_blobs.fetch_add(1, Ordering::Relaxed);
        match self.set_aside(name, meta).await {
            Ok(Some(aside)) => StoreError::Corrupt {
                digest,
                aside: aside.into(),
            },
            Ok(None) => StoreError::Missing { digest },
            Err(error) => error,
        }
    }

    /// Moves the object that `seen` describes to the quarantine, and says where it is now. Nothing, when another one is
    /// there by now.
    pub(super) async fn set_aside(&self, name: &Path, seen: &ObjectMeta) -> Result<Option<String>> {
        let now = match self.store.head(name).await {
            Ok(now) => now,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(self.failed("look at", name)(error)),
        };
        if (now.size, &now.e_tag, now.last_modified) != (seen.size, &seen.e_tag, seen.last_modified)
        {
            return Ok(None);
        }
        let file = name.filename().unwrap_or_default();
        let aside = self.below(&["quarantine", &format!("{file}.{}", unique_name())]);
        for outcome in [
            self.store.copy(name, &aside).await,
            self.store.delete(name).await,
        ] {
            match outcome {
                Ok(()) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(self.failed("set aside", name)(error)),
            }
        }
        Ok(Some(self.shown(&aside)))
    }

    pub(super) fn blob(&self, digest: &Digest) -> Path {
        self.sharded("cas", &digest.hex())
    }

    /// Object stores spread their load by the beginnings of names.
    pub(super) fn sharded(&self, kind: &str, hex: &str) -> Path {
        self.below(&[kind, &hex[..2], hex])
    }

    pub(super) fn below(&self, parts: &[&str]) -> Path {
        parts
            .iter()
            .fold(self.prefix.clone(), |path, part| path.join(*part))
    }

    /// What a person would look the object up by.
    pub(super) fn shown(&self, name: &Path) -> String {
        let below = name.as_ref().strip_prefix(self.prefix.as_ref());
        format!(
            "{}/{}",
            self.url,
            below.unwrap_or(name.as_ref()).trim_start_matches('/')
        )
    }

    pub(super) fn failed(
        &self,
        verb: &'static str,
        name: &Path,
    ) -> impl FnOnce(Error) -> StoreError + use<> {
        let object = self.shown(name);
        move |source| StoreError::Objects {
            verb,
            object,
            source: Box::new(source),
        }
    }
}

/// What a look found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Absent,
    /// Written a short while ago.
    Young,
    Old,
}

async fn piece(mut reader: BlobReader) -> Result<(Vec<u8>, BlobReader)> {
    blocking(move || {
        let bytes = reader.piece(PART)?;
        Ok((bytes, reader))
    })
    .await
}
