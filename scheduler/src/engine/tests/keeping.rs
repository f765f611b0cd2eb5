//! What a build that takes long needs is not collected.

use std::fs::{self, File, FileTimes};
use std::path::Path;
use std::time::SystemTime;

use gofarm_proto::{ActionKey, Message as _};
use gofarm_store::Retention;

use super::super::keeping::keep;
use super::*;

/// All that is stored was last used three days ago.
fn make_old(folder: &Path) {
    let then = SystemTime::now() - Duration::from_secs(3 * 24 * 60 * 60);
    for kind in ["cas", "actions"] {
        for shard in fs::read_dir(folder.join(kind)).unwrap() {
            for file in fs::read_dir(shard.unwrap().path()).unwrap() {
                let file = File::open(file.unwrap().path()).unwrap();
                let times = FileTimes::new().set_accessed(then);
                file.set_times(times).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn what_an_open_build_needs_is_not_collected_and_the_rest_is() {
    let world = World::start();
    let registry = memory();
    let engine = world.engine("a", &registry);
    let source = world.store.put_bytes(b"package a".to_vec()).await.unwrap();
    // What an action of it printed before it failed: no result in the action cache names that.
    let log = world.store.put_bytes(b"x.go:1:1: no".to_vec());
    let log = log.await.unwrap();
    let nobodys = world.store.put_bytes(b"nobody's".to_vec()).await.unwrap();
    // A chain whose last action reads a source, too.
    let mut request = world.chain(1, &["one", "hold"]).await;
    let graph = Digest::try_from(request.graph.as_ref().unwrap()).unwrap();
    let graph = world.store.read(graph).await.unwrap();
    let mut graph = v1::Graph::decode(&graph[..]).unwrap();
    let action = v1::Action {
        label: "hold".to_owned(),
        inputs: vec![v1::Input {
            path: "/__gofarm__/main/a.go".to_owned(),
            source: Some(v1::input::Source::Digest(source.into())),
            ..v1::Input::default()
        }],
        ..v1::Action::default()
    };
    let reads = world.store.put_bytes(action.encode_to_vec()).await.unwrap();
    graph.nodes[1].action = Some(reads.into());
    let graph = world.store.put_bytes(graph.encode_to_vec()).await.unwrap();
    request.graph = Some(graph.into());
    engine.submit(request).await.unwrap();
    world.until_executing("hold").await;
    let one = ActionKey::new(&Digest::of(&super::world::action("one")), []);
    until(|| async { world.store.entry(one).await.unwrap().is_some() }).await;
    let made = world.store.entry(one).await.unwrap().unwrap().blobs();

    make_old(world.store.local().root());
    let store = world.store.clone().into();
    keep(&store, graph, vec![one], vec![log]).await.unwrap();
    let all = Retention {
        age: Some(Duration::from_secs(24 * 60 * 60)),
        bytes: Some(0),
    };
    let collected = world.store.collect(all, false, |_, _| true).await.unwrap();
    assert!(collected.removed.blobs > 0, "{collected:?}");
    assert_eq!(collected.removed.results, 0);
    let needed = [&made[..], &[graph, reads, source, log]].concat();
    assert_eq!(world.store.missing(needed).await.unwrap(), []);
    let gone = world.store.missing(vec![nobodys]).await.unwrap();
    assert_eq!(gone, [nobodys]);
    world.gate.send_replace(true);
    let events = to_the_end(&*registry, 1, 0).await;
    assert_eq!(finished(&events).result(), v1::BuildResult::Succeeded);
    assert_eq!(world.executions("one"), 1);
}
