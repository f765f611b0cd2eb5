//! All keys of the action cache, a part at a time.

use std::fs;
use std::io;

use futures::TryStreamExt;
use gofarm_proto::ActionKey;
use object_store::ObjectStore;

use super::FarmStore;
use super::objects::Objects;
use crate::{DiskStore, Result};

impl FarmStore {
    /// The keys that begin with this byte: one of 256 parts of like size, so that no list is longer than memory allows.
    pub(super) async fn keys(&self, shard: u8) -> Result<Vec<ActionKey>> {
        let shard = format!("{shard:02x}");
        match &self.objects {
            Some(objects) => objects.keys(&shard).await,
            None => self.blocking(move |local| local.keys(&shard)).await,
        }
    }
}

impl Objects {
    async fn keys(&self, shard: &str) -> Result<Vec<ActionKey>> {
        let folder = self.below(&["actions", shard]);
        let listed = self.store.list(Some(&folder));
        let keys =
            listed.try_filter_map(async |object| Ok(object.location.filename().and_then(read_key)));
        keys.try_collect()
            .await
            .map_err(self.failed("list", &folder))
    }
}

impl DiskStore {
    fn keys(&self, shard: &str) -> Result<Vec<ActionKey>> {
        let folder = self.inner.layout.actions().join(shard);
        let listed = fs::read_dir(&folder).and_then(|entries| {
            let names = entries.map(|entry| Ok(entry?.file_name()));
            names.collect::<io::Result<Vec<_>>>()
        });
        match listed {
            Ok(names) => {
                let keys = names.iter().filter_map(|name| read_key(name.to_str()?));
                Ok(keys.collect())
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(self.failed("list the folder", &folder)(e)),
        }
    }
}

/// What else lies in the folder is no entry.
fn read_key(name: &str) -> Option<ActionKey> {
    let mut key = [0; 32];
    hex::decode_to_slice(name, &mut key).ok()?;
    Some(ActionKey(key))
}
