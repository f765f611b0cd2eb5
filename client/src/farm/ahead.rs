//! Verifies what links are going to read while something else is built.
//!
//! A link reads the objects of every package of its program, hundreds of megabytes, and waits for the last of them. Where little
//! has changed the others come from the cache, so their bytes can be [verified](DiskStore::verified) before the link is there to
//! wait for that. The same blobs are hashed as without it; a link that turns out to be cached makes it work for nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use gofarm_engine::core::ActionResult;
use gofarm_proto::{Digest, v1};
use gofarm_store::DiskStore;

/// The links of one build.
#[derive(Debug)]
pub(super) struct Ahead {
    store: DiskStore,
    links: Vec<Link>,
    stop: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Link {
    node: usize,
    inputs: Vec<v1::Edge>,
}

impl Ahead {
    pub fn new(store: DiskStore, graph: &v1::Graph) -> Ahead {
        let nodes = graph.nodes.iter().enumerate();
        let links = nodes.filter(|(_, node)| node.kind() == v1::Kind::Link);
        Ahead {
            store,
            links: links
                .map(|(node, link)| Link {
                    node,
                    inputs: link.inputs.clone(),
                })
                .collect(),
            stop: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Begins, now that something will be executed, with the inputs that are known of the links that are not done.
    pub fn begin(&self, results: &[Option<Arc<ActionResult>>]) {
        let open = self
            .links
            .iter()
            .filter(|link| results[link.node].is_none());
        let known = open.flat_map(|link| &link.inputs).filter_map(|edge| {
            let made = results.get(edge.node as usize)?.as_ref()?;
            made.output(&edge.output)
        });
        // The large ones first: they are what is worth a thread.
        let known: BTreeSet<(u64, Digest)> = known.map(|digest| (digest.size, digest)).collect();
        if known.is_empty() {
            return;
        }
        let (store, stop) = (self.store.clone(), self.stop.clone());
        std::thread::spawn(move || {
            for (_, digest) in known.into_iter().rev() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                // What is wrong with it is told to the action that reads it.
                let _ = store.verified(&digest, Instant::now());
            }
        });
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use gofarm_store::DiskStoreOptions;

    use super::*;

    #[test]
    fn what_is_known_of_an_open_link_is_verified_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let open = || DiskStore::open(folder.path(), DiskStoreOptions::default()).unwrap();
        let [read, other] =
            [b"read".as_slice(), b"other"].map(|bytes| open().put_bytes(bytes).unwrap());
        let made = |digest: Digest| {
            let message = v1::ActionResult {
                outputs: vec![v1::OutputFile {
                    name: "pkg.a".into(),
                    digest: Some(digest.into()),
                    ..v1::OutputFile::default()
                }],
                ..v1::ActionResult::default()
            };
            Some(Arc::new(ActionResult::try_from(message).unwrap()))
        };
        let link = |nodes: &[u32]| v1::Node {
            kind: v1::Kind::Link.into(),
            inputs: nodes
                .iter()
                .map(|node| v1::Edge {
                    node: *node,
                    output: "pkg.a".into(),
                })
                .collect(),
            ..v1::Node::default()
        };
        let package = v1::Node::default;
        // The third package is being built; the first link is done.
        let nodes = vec![package(), package(), package(), link(&[1]), link(&[0, 2])];
        let graph = v1::Graph { nodes };
        let results = [made(read), made(other), None, made(other), None];
        // Another process than the one that wrote the blobs.
        let store = open();
        let ahead = Ahead::new(store.clone(), &graph);
        ahead.begin(&results);
        while store.verified_bytes().blobs == 0 {
            std::thread::yield_now();
        }
        store.verified(&read, Instant::now()).unwrap();
        assert_eq!(store.verified_bytes().bytes, 4);
        store.verified(&other, Instant::now()).unwrap();
        assert_eq!(store.verified_bytes().bytes, 9);
    }
}
