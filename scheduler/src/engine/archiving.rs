//! Moves the events of builds that are over out of the registry.

use std::sync::Arc;
use std::time::Duration;

use gofarm_engine::Archive;
use tokio::time::sleep;

use crate::archive::pack;
use crate::metrics::MeteredStore;
use crate::registry::Registry;
use crate::retry::Retry;

/// Beyond it the events stay where they are, until the registry forgets the build.
const PATIENCE: Duration = Duration::from_secs(60);

/// Moves them, after a pause.
pub(super) async fn archive(
    archive: Archive,
    registry: Arc<dyn Registry>,
    store: MeteredStore,
) -> anyhow::Result<()> {
    let Archive {
        ownership,
        mut record,
        events,
        pause,
    } = archive;
    // Packed at once: while it waits it takes a tenth of the room.
    let packed = tokio::task::spawn_blocking(move || pack(events.iter())).await??;
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
