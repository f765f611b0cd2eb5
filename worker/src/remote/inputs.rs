//! Bringing an action's definition and inputs to this machine.

use std::sync::Arc;
use std::time::Duration;

use gofarm_proto::Digest;
use gofarm_rpc::BlobError;
use tokio::time::Instant;

use super::shared::Shared;
use crate::action::Definition;
use crate::blocking::blocking;
use crate::causes::with_causes;
use crate::error::{ExecuteError, Result};
use crate::leasing::Lease;

/// An address of the farm that brings nothing for so long is given up for the next one, or tried again.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the local cache lacks for a task.
enum Lacking {
    /// The definition itself: what else, nobody knows yet.
    Definition,
    /// These.
    Inputs(Vec<Digest>),
}

/// True when there was anything to bring.
pub(super) async fn fetch(shared: &Arc<Shared>, lease: &Lease) -> Result<bool> {
    let mut fetched = false;
    loop {
        match look(shared, lease).await? {
            Lacking::Definition => download(shared, &[lease.task.definition]).await?,
            Lacking::Inputs(inputs) if inputs.is_empty() => return Ok(fetched),
            Lacking::Inputs(inputs) => {
                download(shared, &inputs).await?;
                return Ok(true);
            }
        }
        fetched = true;
    }
}

/// Looks at the local cache, and keeps from eviction what is there.
async fn look(shared: &Arc<Shared>, lease: &Lease) -> Result<Lacking> {
    let (shared, lease) = (shared.clone(), lease.clone());
    blocking(move || {
        let (cache, task) = (&shared.cache, &lease.task);
        if !shared.held.has_pin(lease.token) {
            shared.held.keep_inputs(lease.token, cache.store().pin()?);
        }
        let bytes = match cache.store().read(&task.definition) {
            Ok(bytes) => bytes,
            Err(error) if error.is_lost_blob() => return Ok(Lacking::Definition),
            Err(error) => return Err(error.into()),
        };
        let definition = Definition::resolve(&task.definition, &bytes, &task.produced)?;
        let inputs = definition.inputs.iter().map(|input| input.digest);
        Ok(Lacking::Inputs(cache.lacking(inputs.collect())?))
    })
    .await
}

/// Until all is here, or the farm says that it has not got them. An unreachable farm is waited for: whoever holds the
/// lease decides how long.
async fn download(shared: &Shared, digests: &[Digest]) -> Result<()> {
    loop {
        let server = shared.servers.current();
        let deadline = Instant::now() + PATIENCE;
        let store = shared.cache.store();
        match server
            .blobs
            .download(digests, store, deadline, &|_| {})
            .await
        {
            Ok(nowhere) if nowhere.is_empty() => return Ok(()),
            Ok(nowhere) => return Err(ExecuteError::MissingInputs(nowhere)),
            Err(error) if error.is_unreachable() => {
                tracing::warn!(%error, "cannot fetch inputs; trying again");
                shared.servers.turn_from(server);
            }
            Err(BlobError::Store(error)) => return Err(error.into()),
            Err(error) => return Err(ExecuteError::Fetch(with_causes(&error))),
        }
    }
}
