//! What a build that takes long needs is in use.
//!
//! The store removes nothing that was used within its grace, and is not told which builds there are. So the owner of a build
//! uses anew, several times within the grace, all that the build rests on: the graph, the definitions of its actions, the files
//! that these read, and the results that it has taken. A task under lease reads nothing else. To these come the logs that its
//! events name, of failed actions as well: who watches the build may want to show them.

use std::collections::HashSet;
use std::time::Duration;

use gofarm_proto::{ActionKey, Digest, Message as _, v1};
use gofarm_store::{GRACE, StoreError};
use tokio::time::Instant;

use super::actor::Actor;
use super::message::Message;
use crate::metrics::MeteredStore;
use gofarm_engine::core::BuildId;

/// How often: a build that is younger has just been looked up and uploaded. A try that fails is made good by the next.
const EVERY: Duration = Duration::from_secs(GRACE.as_secs() / 6);

/// Blobs asked for at once.
const BATCH: usize = 1000;

impl Actor {
    /// Begins to use anew what builds need, if it is time.
    pub fn keep_in_use(&mut self) {
        let now = Instant::now();
        let due = self.builds.iter_mut().filter_map(|(id, build)| {
            let due = now.duration_since(build.kept) >= EVERY && !build.is_over();
            due.then(|| {
                build.kept = now;
                (*id, build.record.graph.clone(), build.log.logs())
            })
        });
        let due: Vec<(BuildId, Option<v1::Digest>, Vec<Digest>)> = due.collect();
        for (id, graph, logs) in due {
            let Some(Ok(graph)) = graph.as_ref().map(Digest::try_from) else {
                continue;
            };
            let results = self.core.results(id);
            let store = self.store.clone();
            self.work.spawn(async move {
                if let Err(error) = keep(&store, graph, results, logs).await {
                    tracing::warn!(build = %id, %error, "what a build needs may be collected, since it cannot be marked as in use now");
                }
                Message::Kept
            });
        }
    }
}

/// Uses these logs, and what the graph and these results are made of. What is missing is none of this call's business.
pub(super) async fn keep(
    store: &MeteredStore,
    graph: Digest,
    results: Vec<ActionKey>,
    logs: Vec<Digest>,
) -> Result<(), StoreError> {
    for logs in logs.chunks(BATCH) {
        store.missing(logs.to_vec()).await?;
    }
    let graph = match store.read(graph).await {
        Err(error) if error.is_lost_blob() => return Ok(()),
        read => v1::Graph::decode(&read?[..]).unwrap_or_default(),
    };
    let definitions = graph.nodes.iter().filter_map(|node| node.action.as_ref());
    let definitions: HashSet<Digest> = definitions
        .filter_map(|digest| Digest::try_from(digest).ok())
        .collect();
    let mut needed = HashSet::new();
    for definition in definitions {
        match store.read(definition).await {
            Ok(bytes) => needed.extend(inputs(&bytes)),
            Err(error) if error.is_lost_blob() => {}
            Err(error) => return Err(error),
        }
    }
    let needed: Vec<Digest> = needed.into_iter().collect();
    for blobs in needed.chunks(BATCH) {
        store.missing(blobs.to_vec()).await?;
    }
    // Looking a result up uses it and its blobs.
    for key in results {
        store.action(key).await?;
    }
    Ok(())
}

/// The files that an action reads and that no action makes.
fn inputs(definition: &[u8]) -> Vec<Digest> {
    let action = v1::Action::decode(definition).unwrap_or_default();
    let inputs = action
        .inputs
        .iter()
        .filter_map(|input| match &input.source {
            Some(v1::input::Source::Digest(digest)) => Digest::try_from(digest).ok(),
            Some(v1::input::Source::Produced(_)) | None => None,
        });
    inputs.collect()
}
