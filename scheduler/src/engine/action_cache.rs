//! Asks and tells the action cache, through outages of the store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream;
use gofarm_engine::Maker;
use gofarm_proto::{ActionKey, v1};
use gofarm_store::StoreError;

use crate::custody::told;
use crate::metrics::MeteredStore;
use crate::retry::Retry;
use gofarm_engine::core::ActionResult;

/// Questions to the action cache, at a time of one portion.
pub(super) const STORE_AT_ONCE: usize = 16;
/// A store that does not answer for so long is taken not to have it. Then the action runs again.
const LOOKUP_PATIENCE: Duration = Duration::from_secs(120);
/// A result that cannot be recorded for so long is not: the next build executes the action again.
const RECORD_PATIENCE: Duration = Duration::from_secs(120);

/// The recorded result of an action, or the one that is `known` to be on its way there; with `verify` only if its blobs
/// are in the store.
pub(super) async fn look_up(
    store: &MeteredStore,
    key: ActionKey,
    verify: bool,
    known: Option<Arc<ActionResult>>,
) -> Option<Arc<ActionResult>> {
    let mut retry = Retry::within("asking the action cache", LOOKUP_PATIENCE);
    loop {
        let error = match look(store, key, verify, known.clone()).await {
            Ok(result) => return result,
            Err(error) => error,
        };
        if !retry.again(&error).await {
            tracing::error!(%key, %error, "action cache cannot be asked; the action runs again");
            return None;
        }
    }
}

async fn look(
    store: &MeteredStore,
    key: ActionKey,
    verify: bool,
    known: Option<Arc<ActionResult>>,
) -> Result<Option<Arc<ActionResult>>, StoreError> {
    let result = match known {
        Some(result) => result,
        None => {
            let Some(entry) = store.entry(key).await? else {
                return Ok(None);
            };
            match ActionResult::try_from(entry.result) {
                Ok(result) => Arc::new(ActionResult {
                    made: entry.made.map(Arc::new),
                    ..result
                }),
                Err(error) => {
                    tracing::error!(%key, %error, "recorded result cannot be read; the action runs again");
                    return Ok(None);
                }
            }
        }
    };
    if verify {
        let outputs = result.outputs.iter().map(|output| output.digest);
        if !store.missing(outputs.collect()).await?.is_empty() {
            return Ok(None);
        }
    }
    Ok(Some(result))
}

/// Records results that another replica should have recorded by now, unless they are there: it may have died, or not have heard that
/// they were accepted.
pub(super) async fn record_missing(
    store: &MeteredStore,
    recordings: Vec<gofarm_engine::Recording>,
) {
    let recorded = stream::iter(recordings).map(|recording| async move {
        let gofarm_engine::Recording { key, result, made } = recording;
        let recording = Recording {
            key,
            result: (&*result).into(),
            made,
        };
        if let Err(error) = recording.write_missing(store).await {
            recording.write_again(store.clone(), error).await;
        }
    });
    recorded.buffer_unordered(STORE_AT_ONCE).collect().await
}

/// A result for the action cache, as who has heard of it from a worker records it, and the owner of a build that misses it there.
#[derive(Clone)]
pub(crate) struct Recording {
    pub key: ActionKey,
    pub result: v1::ActionResult,
    pub made: v1::Provenance,
}

impl Recording {
    /// Writes it, in one try.
    pub async fn write(&self, store: &MeteredStore) -> Result<(), StoreError> {
        let (result, made) = (self.result.clone(), self.made.clone());
        let recorded = store.record_action(self.key, result, made).await?;
        told(&self.key, &recorded, &self.made);
        store.recorded().note(self.key, Instant::now());
        Ok(())
    }

    /// The same, unless it is there.
    async fn write_missing(&self, store: &MeteredStore) -> Result<(), StoreError> {
        let just_recorded = store.recorded().has(&self.key, Instant::now());
        if just_recorded || store.has_result(self.key).await? {
            return Ok(());
        }
        let (key, made) = (self.key, Maker(Some(&self.made)));
        tracing::info!(%key, %made, "a result that was accepted and not recorded is recorded by an owner");
        self.write(store).await
    }

    /// Goes on after a try that failed, for as long as is sensible.
    pub async fn write_again(self, store: MeteredStore, mut error: StoreError) {
        let mut retry = Retry::within("recording a result", RECORD_PATIENCE);
        while retry.again(&error).await {
            match self.write(&store).await {
                Ok(()) => return,
                Err(again) => error = again,
            }
        }
        let key = self.key;
        tracing::error!(%key, %error, "result is not recorded; the next build executes the action again");
    }
}
