//! Looks at everything in a farm's store: whether blobs have the bytes that their names say, and results have their blobs.
//!
//! Schedulers may run meanwhile. What comes while it looks may be seen or not; what is said to be wrong or missing was so at the
//! moment when it was looked at.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::Path as FilePath;

use futures::{StreamExt, TryStreamExt, stream};
use gofarm_proto::{ActionKey, Digest};
use object_store::{Error, GetOptions, ObjectMeta, ObjectStore};

use super::FarmStore;
use super::objects::Objects;
use crate::custody::{self, Entry};
use crate::harmless;
use crate::quarantine::Damaged;
use crate::{DiskStore, Result};

/// Blobs that are hashed, and results that are read, at once. Each blob passes through in small pieces.
const AT_ONCE: usize = 16;

/// What is wrong with one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The bytes of this blob are not those of its name, the hash.
    WrongBlob([u8; 32]),
    /// The entry of this key is torn or malformed.
    WrongResult(ActionKey),
    /// The result of this key names these blobs, and they are not there (or their bytes are wrong).
    MissingBlobs(ActionKey, Vec<Digest>),
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Examined {
    /// Blobs that were hashed.
    pub blobs: u64,
    /// Their bytes.
    pub blob_bytes: u64,
    /// Results that were read.
    pub results: u64,
    /// Sound blobs that no result names: sources, definitions, toolchains, graphs, and what was made by actions whose results
    /// have gone. That is as it should be.
    pub unreferenced: u64,
    /// Their bytes.
    pub unreferenced_bytes: u64,
    /// What is wrong.
    pub faults: Vec<Fault>,
}

/// A blob, as far as it could be read.
enum Hashed {
    Sound([u8; 32], u64),
    Wrong([u8; 32], u64),
    /// Removed while it was looked at.
    Gone,
}

impl FarmStore {
    /// Hashes every blob and reads every result. With `repair` wrong blobs and entries are set aside, and results that name
    /// missing blobs are taken out of the action cache: the next build makes them again. `progress` hears how many of 512 parts
    /// are done.
    ///
    /// Keeps 40 bytes of memory for each blob.
    ///
    /// # Errors
    ///
    /// The store cannot be used; what was repaired until then stays so.
    pub async fn examine(&self, repair: bool, mut progress: impl FnMut(u16)) -> Result<Examined> {
        let mut examined = Examined::default();
        // Hash and size; None: its bytes are wrong.
        let mut seen: HashMap<[u8; 32], Option<u64>> = HashMap::new();
        for shard in 0..=u8::MAX {
            for hashed in self.hash_blobs(shard, repair).await? {
                let size = match hashed {
                    Hashed::Sound(hash, size) => {
                        seen.insert(hash, Some(size));
                        size
                    }
                    Hashed::Wrong(hash, size) => {
                        seen.insert(hash, None);
                        examined.faults.push(Fault::WrongBlob(hash));
                        size
                    }
                    Hashed::Gone => continue,
                };
                examined.blobs += 1;
                examined.blob_bytes += size;
            }
            progress(u16::from(shard) + 1);
        }
        let mut named: HashSet<[u8; 32]> = HashSet::new();
        for shard in 0..=u8::MAX {
            let keys = self.keys(shard).await?;
            let looked = stream::iter(keys).map(|key| self.examine_result(key, &seen, repair));
            let looked: Vec<_> = looked.buffer_unordered(AT_ONCE).try_collect().await?;
            for (blobs, fault) in looked.into_iter().flatten() {
                examined.results += 1;
                named.extend(blobs.iter().map(|blob| blob.hash));
                examined.faults.extend(fault);
            }
            progress(256 + u16::from(shard) + 1);
        }
        let sound = seen
            .iter()
            .filter_map(|(hash, size)| Some((hash, (*size)?)));
        for (_, size) in sound.filter(|(hash, _)| !named.contains(*hash)) {
            examined.unreferenced += 1;
            examined.unreferenced_bytes += size;
        }
        Ok(examined)
    }

    async fn hash_blobs(&self, shard: u8, repair: bool) -> Result<Vec<Hashed>> {
        let shard = format!("{shard:02x}");
        match &self.objects {
            Some(objects) => objects.hash_blobs(&shard, repair).await,
            None => {
                self.blocking(move |local| local.hash_blobs(&shard, repair))
                    .await
            }
        }
    }

    /// The blobs that a result names and what is wrong with it; nothing when it has gone. A log that has gone is nothing wrong.
    async fn examine_result(
        &self,
        key: ActionKey,
        seen: &HashMap<[u8; 32], Option<u64>>,
        repair: bool,
    ) -> Result<Option<(Vec<Digest>, Option<Fault>)>> {
        let entry = match &self.objects {
            Some(objects) => objects.read_entry(&key, repair).await?,
            None => {
                self.blocking(move |local| local.read_entry(&key, repair))
                    .await?
            }
        };
        let entry = match entry {
            None => return Ok(None),
            Some(None) => return Ok(Some((Vec::new(), Some(Fault::WrongResult(key))))),
            Some(Some(entry)) => entry,
        };
        let blobs = entry.blobs();
        let unseen = blobs.iter().copied();
        let unseen = unseen.filter(|blob| !seen.contains_key(&blob.hash));
        let unseen: Vec<Digest> = unseen.collect();
        let wrong = blobs.iter().copied();
        let wrong = wrong.filter(|blob| {
            let seen = seen.get(&blob.hash);
            seen.is_some_and(|size| *size != Some(blob.size))
        });
        let wrong: Vec<Digest> = wrong.collect();
        // What was stored since the blobs were looked at is there.
        let mut missing: Vec<Digest> = match &self.objects {
            Some(objects) => objects.not_there(unseen).await?,
            None => {
                let not_there = move |local: &DiskStore| {
                    let unseen = unseen.into_iter();
                    Ok(unseen.filter(|blob| !local.contains(blob)).collect())
                };
                self.blocking(not_there).await?
            }
        };
        missing.extend(wrong);
        let named = entry.used();
        if missing.is_empty() {
            return Ok(Some((named, None)));
        }
        if repair {
            self.remove_entry(key, entry).await?;
        }
        Ok(Some((named, Some(Fault::MissingBlobs(key, missing)))))
    }
}

impl Objects {
    async fn hash_blobs(&self, shard: &str, repair: bool) -> Result<Vec<Hashed>> {
        let folder = self.below(&["cas", shard]);
        let listed = self.store.list(Some(&folder));
        let listed: Vec<ObjectMeta> = listed
            .try_collect()
            .await
            .map_err(self.failed("list", &folder))?;
        let hashed = stream::iter(listed).map(|meta| self.hash_blob(meta, repair));
        hashed.buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn hash_blob(&self, meta: ObjectMeta, repair: bool) -> Result<Hashed> {
        let name = &meta.location;
        let Some(hash) = read_hash(name.filename().unwrap_or_default()) else {
            return Ok(Hashed::Gone);
        };
        let options = GetOptions {
            if_match: meta.e_tag.clone(),
            ..GetOptions::default()
        };
        let read = async {
            let mut pieces = self.store.get_opts(name, options).await?.into_stream();
            let mut hasher = blake3::Hasher::new();
            while let Some(piece) = pieces.try_next().await? {
                hasher.update(&piece);
            }
            Ok(hasher.finalize())
        };
        match read.await {
            Ok(found) if found == hash => Ok(Hashed::Sound(hash, meta.size)),
            Ok(_) => {
                if repair {
                    self.set_aside(name, &meta).await?;
                    self.forget(&hash, meta.size);
                }
                Ok(Hashed::Wrong(hash, meta.size))
            }
            Err(Error::NotFound { .. } | Error::Precondition { .. }) => Ok(Hashed::Gone),
            Err(error) => Err(self.failed("read", name)(error)),
        }
    }

    /// The entry of a key; `Some(None)` when it is damaged, and nothing when there is none.
    async fn read_entry(&self, key: &ActionKey, repair: bool) -> Result<Option<Option<Entry>>> {
        let name = self.sharded("actions", &key.hex());
        let (meta, framed) = match self.load(&name).await {
            Ok(loaded) => loaded,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(self.failed("read", &name)(error)),
        };
        let entry = custody::unwrap(key, &framed);
        if entry.is_none() && repair {
            self.set_aside(&name, &meta).await?;
        }
        Ok(Some(entry))
    }
}

impl DiskStore {
    fn hash_blobs(&self, shard: &str, repair: bool) -> Result<Vec<Hashed>> {
        let folder = self.inner.layout.cas().join(shard);
        let listed = fs::read_dir(&folder).and_then(|entries| {
            let paths = entries.map(|entry| Ok(entry?.path()));
            paths.collect::<io::Result<Vec<_>>>()
        });
        let paths = match listed {
            Ok(paths) => paths,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(self.failed("list the folder", &folder)(e)),
        };
        let hashed = paths.iter().map(|path| self.hash_blob(path, repair));
        hashed.collect()
    }

    fn hash_blob(&self, path: &FilePath, repair: bool) -> Result<Hashed> {
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(hash) = name.and_then(read_hash) else {
            return Ok(Hashed::Gone);
        };
        let gone = |e: io::Error| match e.kind() {
            io::ErrorKind::NotFound => Ok(Hashed::Gone),
            _ => Err(self.failed("read", path)(e)),
        };
        let mut metadata = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(e) => return gone(e),
        };
        let mut sound = false;
        if metadata.is_file() {
            let mut file = match harmless::open(path) {
                Ok(file) => file,
                Err(e) => return gone(e),
            };
            metadata = file.metadata().map_err(self.failed("read", path))?;
            let mut hasher = blake3::Hasher::new();
            io::copy(&mut file, &mut hasher).map_err(self.failed("read", path))?;
            sound = hasher.finalize() == hash;
        }
        if sound {
            return Ok(Hashed::Sound(hash, metadata.len()));
        }
        if repair {
            self.set_aside(path, &metadata, Damaged::Blob)?;
        }
        Ok(Hashed::Wrong(hash, metadata.len()))
    }

    fn read_entry(&self, key: &ActionKey, repair: bool) -> Result<Option<Option<Entry>>> {
        if repair {
            let there = self.inner.layout.action(key).exists();
            // Looking at it sets it aside when it is damaged.
            return Ok(match self.entry(key)? {
                Some(entry) => Some(Some(entry)),
                None => there.then_some(None),
            });
        }
        match self.peek_entry(key)? {
            Some(entry) => Ok(Some(Some(entry))),
            None => Ok(self.inner.layout.action(key).exists().then_some(None)),
        }
    }
}

fn read_hash(name: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    hex::decode_to_slice(name, &mut hash).ok()?;
    Some(hash)
}
