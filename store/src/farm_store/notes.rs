//! Small files beside blobs and results, by which the processes of a farm tell each other something.

use std::fs;
use std::io::{self, Write};

use futures::TryStreamExt;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutPayload};

use super::FarmStore;
use super::objects::Objects;
use crate::harmless;
use crate::{DiskStore, Result};

impl FarmStore {
    /// Names of the notes of a kind, in order.
    pub(super) async fn notes(&self, kind: &'static str) -> Result<Vec<String>> {
        let mut names = match &self.objects {
            Some(objects) => objects.notes(kind).await?,
            None => self.blocking(move |local| local.notes(kind)).await?,
        };
        names.sort_unstable();
        Ok(names)
    }

    /// Writes a note, replacing what has its name.
    pub(super) async fn put_note(
        &self,
        kind: &'static str,
        name: String,
        bytes: Vec<u8>,
    ) -> Result<()> {
        match &self.objects {
            Some(objects) => objects.put_note(kind, &name, bytes).await,
            None => {
                self.blocking(move |local| local.put_note(kind, &name, &bytes))
                    .await
            }
        }
    }

    /// Reads a note, if it is there.
    pub(super) async fn note(&self, kind: &'static str, name: String) -> Result<Option<Vec<u8>>> {
        match &self.objects {
            Some(objects) => objects.note(kind, &name).await,
            None => self.blocking(move |local| local.note(kind, &name)).await,
        }
    }

    /// Removes a note, if it is there.
    pub(super) async fn remove_note(&self, kind: &'static str, name: String) -> Result<()> {
        match &self.objects {
            Some(objects) => objects.remove_note(kind, &name).await,
            None => {
                self.blocking(move |local| local.remove_note(kind, &name))
                    .await
            }
        }
    }
}

impl Objects {
    pub(super) async fn notes(&self, kind: &str) -> Result<Vec<String>> {
        let folder = self.below(&[kind]);
        let listed = self.store.list(Some(&folder));
        let names =
            listed.try_filter_map(async |object| Ok(object.location.filename().map(str::to_owned)));
        names
            .try_collect()
            .await
            .map_err(self.failed("list", &folder))
    }

    pub(super) async fn put_note(&self, kind: &str, name: &str, bytes: Vec<u8>) -> Result<()> {
        let name = self.below(&[kind, name]);
        let mode = PutMode::Overwrite.into();
        let put = self.store.put_opts(&name, PutPayload::from(bytes), mode);
        put.await.map_err(self.failed("store", &name))?;
        Ok(())
    }

    pub(super) async fn note(&self, kind: &str, name: &str) -> Result<Option<Vec<u8>>> {
        let name = self.below(&[kind, name]);
        let read = async { self.store.get(&name).await?.bytes().await };
        match read.await {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("read", &name)(error)),
        }
    }

    pub(super) async fn remove_note(&self, kind: &str, name: &str) -> Result<()> {
        let name = self.below(&[kind, name]);
        match self.store.delete(&name).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("remove", &name)(error)),
        }
    }
}

impl DiskStore {
    fn notes(&self, kind: &str) -> Result<Vec<String>> {
        let folder = self.root().join(kind);
        let listed = fs::read_dir(&folder).and_then(|entries| {
            let names = entries.map(|entry| Ok(entry?.file_name().into_string().ok()));
            names.collect::<io::Result<Vec<_>>>()
        });
        match listed {
            Ok(names) => Ok(names.into_iter().flatten().collect()),
            // Made with the first note.
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(self.failed("list the folder", &folder)(e)),
        }
    }

    fn put_note(&self, kind: &str, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.root().join(kind).join(name);
        let mut temporary = self.inner.own.file()?;
        let written = temporary.file.write_all(bytes);
        written
            .and_then(|()| temporary.rename(&path))
            .map_err(self.failed("write", &path))
    }

    fn note(&self, kind: &str, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.root().join(kind).join(name);
        match harmless::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(self.failed("read", &path)(e)),
        }
    }

    fn remove_note(&self, kind: &str, name: &str) -> Result<()> {
        let path = self.root().join(kind).join(name);
        match fs::remove_file(&path) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(self.failed("remove", &path)(e)),
        }
    }
}
