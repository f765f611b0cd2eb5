//! Moves the events of builds that are over out of the registry.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gofarm_proto::v1;
use tokio::time::sleep;

use super::actor::Actor;
use super::message::Message;
use super::open_build::OpenBuild;
use super::persist::Retry;
use crate::archive;
use crate::metrics::MeteredStore;
use crate::registry::{Ownership, Registry};

/// Beyond it the events stay where they are, until the registry forgets the build.
const PATIENCE: Duration = Duration::from_secs(60);

impl Actor {
    /// A build is over and the registry has all of it. Its events stay there for a while: who watches it reads the last of
    /// them now. If this replica ends before they have moved they are forgotten with the build, a day later.
    pub fn archive(&mut self, build: OpenBuild) {
        let events = build.log.events();
        if events.iter().map(Bytes::len).sum::<usize>() < self.options.archive_from {
            return;
        }
        let (registry, store) = (self.registry.clone(), self.store.clone());
        let pause = self.options.archive_after;
        self.work.spawn(async move {
            let OpenBuild {
                ownership, record, ..
            } = build;
            let id = ownership.build;
            let archived = archive(ownership, record, events, pause, registry, store).await;
            if let Err(error) = archived {
                tracing::warn!(build = %id, "events of a build stay in the registry: {error:#}");
            }
            Message::Archived
        });
    }
}

async fn archive(
    ownership: Ownership,
    mut record: v1::Build,
    events: Vec<Bytes>,
    pause: Duration,
    registry: Arc<dyn Registry>,
    store: MeteredStore,
) -> anyhow::Result<()> {
    // Packed at once: while it waits it takes a tenth of the room.
    let packed = tokio::task::spawn_blocking(move || archive::pack(events.iter())).await??;
    sleep(pause).await;
    let size = packed.len();
    let mut retry = Retry::within("archiving the events of a build", PATIENCE);
    let archive = loop {
        match store.put_bytes(packed.clone()).await {
            Ok(archive) => break archive,
            Err(error) if retry.again(&error).await => {}
            Err(error) => return Err(error.into()),
        }
    };
    record.archive = Some(archive.into());
    while let Err(error) = registry.archive(&ownership, &record).await {
        if !retry.again(&error).await {
            return Err(error.into());
        }
    }
    tracing::debug!(build = %ownership.build, size, "events of a build are archived");
    Ok(())
}
