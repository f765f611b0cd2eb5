//! Reads builds: from a request, from the store, from the registry.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gofarm_engine::core::{
    BuildId, BuildOptions, BuildSpec, Estimate, ParseNameError, PoolName, UserName, platform_pool,
};
use gofarm_engine::{GraphRead, Left};
use gofarm_proto::{Digest, Message, v1};
use gofarm_timing::now_ms;

use super::SubmitError;
use super::unplaceable::toolchain_names;
use crate::metrics::MeteredStore;
use crate::registry::{Registry, RegistryError};
use crate::retry::Retry;

/// The greatest graph that is read, bytes: some million actions.
pub(super) const GRAPH_BYTES: u64 = 512 << 20;
/// The longest title of a build, bytes. It is for people, in lists.
const TITLE_BYTES: usize = 4 << 10;
/// The longest label, package and name of a C toolchain, and all texts of a platform together, bytes.
const TEXT_BYTES: usize = 4 << 10;
const DEFAULT_POOL: &str = "default";
/// Events of an earlier owner read at once.
const PAGE: usize = 1000;
/// A build that is taken over does not wait long for what is recorded about its actions.
const HISTORY_PATIENCE: Duration = Duration::from_secs(5);

/// The record of a build that is submitted now; Err says what is wrong with the request.
pub(super) fn record(request: v1::SubmitRequest) -> Result<v1::Build, String> {
    let id: Result<BuildId, _> = request.build.parse();
    let id = id.map_err(|error| error.to_string())?;
    let graph = request.graph.ok_or("submitted without a graph")?;
    let digest = Digest::try_from(&graph).map_err(|error| error.to_string())?;
    if digest.size > GRAPH_BYTES {
        return Err(format!(
            "graph {digest} is larger than the {GRAPH_BYTES} bytes that are read; build fewer packages at once"
        ));
    }
    let mut options = request.options.unwrap_or_default();
    if options.pool.is_empty() {
        options.pool = DEFAULT_POOL.to_owned();
    }
    names(&options).map_err(|error| error.to_string())?;
    if options.title.len() > TITLE_BYTES {
        let fits = |(at, char): &(usize, char)| at + char.len_utf8() <= TITLE_BYTES;
        let title = options.title.char_indices().take_while(fits);
        options.title = title.map(|(_, char)| char).collect();
        options.title.push('…');
    }
    Ok(v1::Build {
        build: id.to_string(),
        options: Some(options),
        graph: Some(graph),
        submitted_ms: now_ms(),
        ..v1::Build::default()
    })
}

/// Whose build it is and for which workers.
fn names(options: &v1::BuildOptions) -> Result<(UserName, PoolName), ParseNameError> {
    Ok((options.user.parse()?, options.pool.parse()?))
}

fn bounded(what: &str, text: &str, most: usize) -> Result<(), String> {
    match text.len() {
        length if length > most => Err(format!(
            "{what} has {length} bytes, and may have {most}; shorten it"
        )),
        _ => Ok(()),
    }
}

/// What of a node's texts goes into keys of the queue, messages and tables is of bounded length.
fn bounded_node(index: usize, node: &v1::Node) -> Result<(), String> {
    let platform = node.platform.as_ref();
    let platform = platform.map(|at| [&*at.os, &at.arch, &at.c_toolchain].concat());
    let texts = [
        ("label", &*node.label),
        ("package", &node.package),
        ("name of the C toolchain", &node.c_toolchain_name),
        ("platform", platform.as_deref().unwrap_or_default()),
    ];
    for (what, text) in texts {
        bounded(&format!("graph: {what} of node {index}"), text, TEXT_BYTES)?;
    }
    Ok(())
}

/// Reads the graph of a build.
pub(super) async fn read_graph(
    store: &MeteredStore,
    record: &v1::Build,
) -> Result<v1::Graph, SubmitError> {
    let digest = record.graph.as_ref().map(Digest::try_from);
    let digest = match digest {
        Some(Ok(digest)) => digest,
        _ => return Err(SubmitError::Invalid("build without a graph".to_owned())),
    };
    if digest.size > GRAPH_BYTES {
        let error = format!("graph {digest} is larger than the {GRAPH_BYTES} bytes that are read");
        return Err(SubmitError::Invalid(error));
    }
    let bytes = store.read(digest).await.map_err(|error| {
        if error.is_lost_blob() {
            SubmitError::NoGraph(digest)
        } else {
            SubmitError::Unavailable(error.to_string())
        }
    })?;
    let graph = v1::Graph::decode(&bytes[..]);
    let graph = graph
        .map_err(|error| SubmitError::Invalid(format!("blob {digest} is not a graph: {error}")))?;
    for (index, node) in graph.nodes.iter().enumerate() {
        bounded_node(index, node).map_err(SubmitError::Invalid)?;
    }
    Ok(graph)
}

/// Checks a graph and gives it what is recorded about its actions.
pub(super) async fn spec(
    registry: &dyn Registry,
    id: BuildId,
    record: &v1::Build,
    graph: v1::Graph,
) -> Result<BuildSpec, SubmitError> {
    let options = record.options.clone().unwrap_or_default();
    let history = history(registry, &options.pool, &graph).await?;
    checked(id, options, graph, history).await
}

type History = HashMap<(String, String, i32), Estimate>;

async fn checked(
    id: BuildId,
    options: v1::BuildOptions,
    graph: v1::Graph,
    history: History,
) -> Result<BuildSpec, SubmitError> {
    let check = move || {
        let (user, pool_name) = names(&options).map_err(|error| error.to_string())?;
        let pool = options.pool.clone();
        let core_options = BuildOptions {
            keep_going: options.keep_going,
            no_cache: options.no_cache,
            user: user.into(),
            pool: pool_name.into(),
            by_platform: true,
        };
        let spec = BuildSpec::from_graph(id, core_options, &graph, |node| {
            let key = (part(&pool, node), node.package.clone(), node.kind);
            history.get(&key).copied()
        });
        spec.map_err(|error| error.to_string())
    };
    // Some hundred milliseconds for a graph of 100,000 actions.
    let spec = tokio::task::spawn_blocking(check).await;
    let spec = spec.map_err(|error| SubmitError::Unavailable(error.to_string()))?;
    spec.map_err(SubmitError::Invalid)
}

/// The part of the pool that an action waits in: what executions take is recorded by it.
fn part(pool: &str, node: &v1::Node) -> String {
    match &node.platform {
        Some(platform) => platform_pool(pool, platform),
        None => pool.to_owned(),
    }
}

async fn history(
    registry: &dyn Registry,
    pool: &str,
    graph: &v1::Graph,
) -> Result<History, RegistryError> {
    let mut asked: HashMap<String, HashSet<(&str, i32)>> = HashMap::new();
    for node in &graph.nodes {
        let actions = asked.entry(part(pool, node)).or_default();
        actions.insert((&node.package, node.kind));
    }
    let mut history = History::new();
    for (pool, actions) in asked {
        let known = actions.iter().filter_map(|(package, kind)| {
            Some((Arc::from(*package), v1::Kind::try_from(*kind).ok()?))
        });
        let actions: Vec<(Arc<str>, v1::Kind)> = known.collect();
        let estimates = registry.estimates(&pool, &actions).await?;
        for ((package, kind), estimate) in actions.iter().zip(estimates) {
            if let Some(estimate) = estimate {
                let key = (pool.clone(), package.to_string(), i32::from(*kind));
                history.insert(key, estimate);
            }
        }
    }
    Ok(history)
}

/// What an earlier owner left of a build; none when the registry has lost the build.
pub(super) async fn left(registry: &dyn Registry, id: BuildId) -> Option<Box<Left>> {
    let mut retry = Retry::forever("reading a build that is taken over");
    loop {
        match read(registry, id).await {
            Ok(left) => return left.map(Box::new),
            Err(error) => retry.again(&error).await,
        };
    }
}

/// The graph of a build that is taken over, checked, with what is recorded about its actions.
pub(super) async fn graph(
    registry: &dyn Registry,
    store: &MeteredStore,
    id: BuildId,
    record: &v1::Build,
) -> GraphRead {
    let graph = match read_graph(store, record).await {
        Ok(graph) => graph,
        Err(SubmitError::Invalid(error)) => {
            tracing::error!(build = %id, %error, "graph of a build that is taken over cannot be read");
            return GraphRead::Unreadable;
        }
        Err(SubmitError::Unavailable(error) | SubmitError::Full(error)) => {
            tracing::warn!(build = %id, %error, "graph of a build that is taken over cannot be read now");
            return GraphRead::Away;
        }
        Err(SubmitError::NoGraph(digest)) => return GraphRead::Lost(digest),
    };
    let c_toolchains = toolchain_names(&graph);
    let options = record.options.clone().unwrap_or_default();
    let mut retry = Retry::within("reading history", HISTORY_PATIENCE);
    let history = loop {
        match history(registry, &options.pool, &graph).await {
            Ok(history) => break history,
            Err(error) if retry.again(&error).await => {}
            Err(_) => break History::new(),
        }
    };
    match checked(id, options, graph, history).await {
        Ok(spec) => GraphRead::Ready {
            spec: Box::new(spec),
            c_toolchains,
        },
        Err(error) => {
            tracing::error!(build = %id, %error, "graph of a build that is taken over is not one");
            GraphRead::Unreadable
        }
    }
}

type Events = Vec<(v1::BuildEvent, Bytes)>;

async fn read(registry: &dyn Registry, id: BuildId) -> Result<Option<Left>, RegistryError> {
    let record = registry.get(id).await?;
    let events = read_events(registry, id).await?;
    Ok(record
        .zip(events)
        .map(|(record, events)| Left { record, events }))
}

async fn read_events(
    registry: &dyn Registry,
    id: BuildId,
) -> Result<Option<Events>, RegistryError> {
    let mut events = Vec::new();
    let mut after = 0;
    loop {
        let page = registry.events(id, after, PAGE, Duration::ZERO).await?;
        let Some(page) = page else {
            return Ok(None);
        };
        let full = page.len() == PAGE;
        for bytes in page {
            let event = v1::BuildEvent::decode(&bytes[..]);
            let event = event.map_err(|error| RegistryError::Malformed {
                what: format!("an event of build {id}"),
                reason: error.to_string(),
            })?;
            after = event.cursor;
            events.push((event, bytes));
        }
        if !full {
            return Ok(Some(events));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submitted(options: v1::BuildOptions, graph_bytes: u64) -> Result<v1::Build, String> {
        let graph = Digest {
            size: graph_bytes,
            ..Digest::of(b"graph")
        };
        record(v1::SubmitRequest {
            build: BuildId(1).to_string(),
            options: Some(options),
            graph: Some(graph.into()),
        })
    }

    #[test]
    fn what_a_submission_names_is_checked_before_anything_is_kept_of_it() {
        let options = |user: &str, pool: &str, title: &str| v1::BuildOptions {
            user: user.to_owned(),
            pool: pool.to_owned(),
            title: title.to_owned(),
            ..v1::BuildOptions::default()
        };
        let good = submitted(options("ann", "", "./... in host:/src"), 100).unwrap();
        assert_eq!(good.options.unwrap().pool, "default");
        let long = "x".repeat(3 << 20);
        let bad = [
            (options(&long, "", ""), "user"),
            (options("", &long, ""), "pool"),
            (options("", "a:b", ""), "pool \"a:b\""),
            (options("", "a{b", ""), "pool \"a{b\""),
            (options("a\nb", "", ""), "control character"),
        ];
        for (options, what) in bad {
            let error = submitted(options, 100).unwrap_err();
            assert!(error.contains(what) && error.len() < 300, "{error}");
        }
        let good = submitted(options("", "", &"…".repeat(5000)), 100).unwrap();
        assert!(good.options.unwrap().title.len() <= TITLE_BYTES + 3);
        let error = submitted(options("", "", ""), u64::MAX >> 8).unwrap_err();
        assert!(error.contains("larger than"), "{error}");
    }

    #[test]
    fn texts_of_a_graph_are_bounded() {
        let node = v1::Node {
            label: "compile a".to_owned(),
            ..v1::Node::default()
        };
        assert_eq!(bounded_node(0, &node), Ok(()));
        let long = "x".repeat(5_000);
        let platform = v1::Platform {
            os: long.clone(),
            ..v1::Platform::default()
        };
        let bad = [
            v1::Node {
                label: long.clone(),
                ..node.clone()
            },
            v1::Node {
                package: long.clone(),
                ..node.clone()
            },
            v1::Node {
                c_toolchain_name: long,
                ..node.clone()
            },
            v1::Node {
                platform: Some(platform),
                ..node
            },
        ];
        for node in bad {
            assert!(bounded_node(7, &node).unwrap_err().contains("node 7"));
        }
    }
}
