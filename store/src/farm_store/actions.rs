//! The action cache in an object store.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use gofarm_proto::{ActionKey, Digest, Message, v1};
use object_store::path::Path;
use object_store::{Error, GetOptions, ObjectMeta, ObjectStore, PutMode, PutPayload};

use super::objects::Objects;
use crate::action_cache::{context, outputs};
use crate::frame;
use crate::{DiskStore, Recorded, Result, StoreError};

/// How often an entry may vanish between being in the way and being read.
const TRIES: usize = 4;

impl Objects {
    /// The result recorded for this key. A damaged entry is set aside and absent.
    pub(super) async fn action(
        &self,
        key: &ActionKey,
        local: &DiskStore,
    ) -> Result<Option<v1::ActionResult>> {
        let name = self.sharded("actions", &key.hex());
        self.entry(key, &name, local).await
    }

    /// As [`DiskStore::record_action`]: the first result stays, unless its outputs are lost.
    pub(super) async fn record_action(
        &self,
        key: &ActionKey,
        result: &v1::ActionResult,
        local: &DiskStore,
    ) -> Result<Recorded> {
        let made = outputs(result).map_err(|reason| StoreError::BadResult { key: *key, reason })?;
        let name = self.sharded("actions", &key.hex());
        let framed = frame::wrap(&context(key), &result.encode_to_vec());
        for _ in 0..TRIES {
            // Of two replicas with two results, one creates the entry.
            match self.store_entry(&name, &framed, PutMode::Create).await {
                Ok(()) => return Ok(Recorded::Stored),
                Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {}
                Err(error) => return Err(self.failed("record an action as", &name)(error)),
            }
            let Some(first) = self.entry(key, &name, local).await? else {
                continue;
            };
            let blobs: Vec<Digest> = match outputs(&first) {
                Ok(of_first) if of_first == made => return Ok(Recorded::AlreadyThere),
                Ok(of_first) => of_first.into_values().map(|(blob, _)| blob).collect(),
                Err(reason) => return Err(StoreError::BadResult { key: *key, reason }),
            };
            if self.absent(blobs).await?.is_empty() {
                let finding = self.keep_finding(key, &framed).await?;
                return Ok(Recorded::NonDeterministic {
                    valid: Box::new(first),
                    finding,
                });
            }
            // Its outputs cannot be had again, since the action gives other ones: it would be run at every build.
            let of_first = frame::wrap(&context(key), &first.encode_to_vec());
            let finding = self.keep_finding(key, &of_first).await?;
            self.store_entry(&name, &framed, PutMode::Overwrite)
                .await
                .map_err(self.failed("record an action as", &name))?;
            return Ok(Recorded::NonDeterministic {
                valid: Box::new(result.clone()),
                finding,
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
    ) -> Result<Option<v1::ActionResult>> {
        let (meta, framed) = match self.load(name).await {
            Ok(loaded) => loaded,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(self.failed("read", name)(error)),
        };
        let result = frame::unwrap(&context(key), &framed)
            .and_then(|body| v1::ActionResult::decode(body).ok())
            .filter(|result| outputs(result).is_ok());
        if result.is_none() {
            local.inner.corrupt_actions.fetch_add(1, Ordering::Relaxed);
            self.set_aside(name, &meta).await?;
        }
        Ok(result)
    }

    async fn load(&self, name: &Path) -> object_store::Result<(ObjectMeta, bytes::Bytes)> {
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

    /// The same finding has the same name, so a build that is repeated does not pile them up.
    async fn keep_finding(&self, key: &ActionKey, framed: &[u8]) -> Result<PathBuf> {
        let content = Digest::of(framed).hex();
        let name = self.below(&["findings", &format!("{}.{}", key.hex(), &content[..16])]);
        self.store_entry(&name, framed, PutMode::Overwrite)
            .await
            .map_err(self.failed("keep a finding as", &name))?;
        Ok(self.shown(&name).into())
    }
}
