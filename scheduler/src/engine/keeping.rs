//! Uses anew what a build rests on, so that the store does not remove it.

use std::collections::HashSet;

use gofarm_proto::{ActionKey, Digest, Message as _, v1};
use gofarm_store::StoreError;

use super::reading::GRAPH_BYTES;
use crate::metrics::MeteredStore;

/// The greatest definition that is read, bytes: some hundred thousand inputs.
const DEFINITION_BYTES: u64 = 64 << 20;
/// Blobs asked for at once.
const BATCH: usize = 1000;

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
    // What is larger was never read for a build.
    if graph.size > GRAPH_BYTES {
        return Ok(());
    }
    let graph = match store.read(graph).await {
        Err(error) if error.is_lost_blob() => return Ok(()),
        read => v1::Graph::decode(&read?[..]).unwrap_or_default(),
    };
    let definitions = graph.nodes.iter().filter_map(|node| node.action.as_ref());
    let definitions: HashSet<Digest> = definitions
        .filter_map(|digest| Digest::try_from(digest).ok())
        .filter(|definition| definition.size <= DEFINITION_BYTES)
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
