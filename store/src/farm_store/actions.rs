//! The action cache in an object store.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use gofarm_proto::{ActionKey, v1};
use object_store::path::Path;
use object_store::{
    Error, GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload,
};

use super::objects::Objects;
use super::used::{Id, is_old};
use crate::action_cache::outputs;
use crate::custody::{self, Entry};
use crate::{DiskStore, Recorded, Result, StoreError};

/// How often an entry may vanish between being in the way and being read.
const TRIES: usize = 4;

impl Objects {
    /// The result recorded for this key. A damaged entry is set aside and absent.
    pub(super) async fn action(&self, key: &ActionKey, local: &DiskStore) -> Result<Option<Entry>> {
        let name = self.sharded("actions", &key.hex());
        let Some((entry, written)) = self.entry(key, &name, local).await? else {
            return Ok(None);
        };
        if is_old(written) {
            let blobs = entry.used();
            let blobs = blobs.iter().map(Id::blob);
            self.note_used(blobs.chain([Id::action(key)]).collect())
                .await;
        }
        Ok(Some(entry))
    }

    /// As [`action`](Self::action), without noting that it is used.
    pub(super) async fn peek_action(
        &self,
        key: &ActionKey,
        local: &DiskStore,
    ) -> Result<Option<Entry>> {
        let name = self.sharded("actions", &key.hex());
        let found = self.entry(key, &name, local).await?;
        Ok(found.map(|(entry, _)| entry))
    }

    /// Takes an entry out of the cache if it is still one that `wrong` says so of. An object store has no way to look and
    /// to remove in one step: what is recorded just in between goes as well, and is made once more.
    pub(super) async fn remove_action(
        &self,
        key: &ActionKey,
        local: &DiskStore,
        wrong: impl Fn(&Entry) -> bool,
    ) -> Result<bool> {
        let name = self.sharded("actions", &key.hex());
        match self.entry(key, &name, local).await? {
            Some((entry, _)) if wrong(&entry) => {}
            _ => return Ok(false),
        }
        match self.store.delete(&name).await {
            Ok(()) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(self.failed("take back", &name)(error)),
        }
    }

    /// As [`DiskStore::record_action`]: the first result stays, unless its outputs are lost.
    pub(super) async fn record_action(
        &self,
        key: &ActionKey,
        result: &v1::ActionResult,
        by: &v1::Provenance,
        local: &DiskStore,
    ) -> Result<Recorded> {
        let made = outputs(result).map_err(|reason| StoreError::BadResult { key: *key, reason })?;
        let name = self.sharded("actions", &key.hex());
        let framed = custody::wrap(key, result, by);
        for _ in 0..TRIES {
            // Of two replicas with two results, one creates the entry.
            match self.store_entry(&name, &framed, PutMode::Create).await {
                Ok(()) => return Ok(Recorded::Stored),
                Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {}
                Err(error) => return Err(self.failed("record an action as", &name)(error)),
            }
            let Some((first, _)) = self.entry(key, &name, local).await? else {
                continue;
            };
            match outputs(&first.result) {
                Ok(of_first) if of_first == made => return Ok(Recorded::AlreadyThere),
                Ok(_) => {}
                Err(reason) => return Err(StoreError::BadResult { key: *key, reason }),
            }
            let usable = self.absent(first.blobs()).await?.is_empty();
            let Entry {
                result: first,
                made: of_first,
            } = first;
            let (valid, finding) = if usable {
                (first, self.keep_finding(key, result, &framed).await?)
            } else {
                // Its outputs cannot be had again, since the action gives other ones: it would be run at every build.
                let kept = custody::wrap(key, &first, &of_first.clone().unwrap_or_default());
                let finding = self.keep_finding(key, &first, &kept).await?;
                self.store_entry(&name, &framed, PutMode::Overwrite)
                    .await
                    .map_err(self.failed("record an action as", &name))?;
                (result.clone(), finding)
            };
            return Ok(Recorded::NonDeterministic {
                valid: Box::new(valid),
                finding,
                first: of_first,
            });
        }
        Err(StoreError::Objects {
            verb: "record an action as",
            object: self.shown(&name),
            source: "the entry comes and goes".into(),
        })
    }

    async fn entry(
        &self,
        key: &ActionKey,
        name: &Path,
        local: &DiskStore,
    ) -> Result<Option<(Entry, SystemTime)>> {
        let (meta, framed) = match self.load(name).await {
            Ok(loaded) => loaded,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(self.failed("read", name)(error)),
        };
        let entry = custody::unwrap(key, &framed);
        if entry.is_none() {
            local.inner.corrupt_actions.fetch_add(1, Ordering::Relaxed);
            self.set_aside(name, &meta).await?;
        }
        Ok(entry.map(|entry| (entry, meta.last_modified.into())))
    }

    pub(super) async fn load(
        &self,
        name: &Path,
    ) -> object_store::Result<(ObjectMeta, bytes::Bytes)> {
        let found = self.store.get_opts(name, GetOptions::default()).await?;
        Ok((found.meta.clone(), found.bytes().await?))
    }

    async fn store_entry(
        &self,
        name: &Path,
        framed: &[u8],
        mode: PutMode,
    ) -> object_store::Result<()> {
        let payload = PutPayload::from(framed.to_vec());
        self.store.put_opts(name, payload, mode.into()).await?;
        Ok(())
    }

    async fn keep_finding(
        &self,
        key: &ActionKey,
        result: &v1::ActionResult,
        framed: &[u8],
    ) -> Result<PathBuf> {
        let name = self.below(&["findings", &custody::finding(key, result)]);
        self.store_entry(&name, framed, PutMode::Overwrite)
            .await
            .map_err(self.failed("keep a finding as", &name))?;
        Ok(self.shown(&name).into())
    }
}
