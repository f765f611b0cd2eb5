//! From a request, or from what an earlier owner left, to something that the core takes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use gofarm_proto::{Digest, Message, v1};
use tokio::time::{Instant, sleep};

use super::SubmitError;
use super::event_log::EventLog;
use super::open_build::OpenBuild;
use super::persist::Retry;
use super::resume::Standing;
use super::unplaceable::toolchain_names;
use crate::metrics::MeteredStore;
use crate::registry::{Ownership, Registry, RegistryError};
use gofarm_engine::core::{
    BuildId, BuildOptions, BuildSpec, Estimate, NodeId, Prior, platform_pool,
};

const DEFAULT_POOL: &str = "default";
/// Events of an earlier owner read at once.
const PAGE: usize = 1000;
/// A build that is taken over does not wait long for what is recorded about its actions.
const HISTORY_PATIENCE: Duration = Duration::from_secs(5);
/// How often to look for a graph that is not there.
const LOOK: Duration = Duration::from_millis(500);

/// A build that this replica owns and that is about to be opened.
pub(super) struct Opening {
    pub build: OpenBuild,
    /// None: its graph is lost, or it is over already.
    pub spec: Option<BuildSpec>,
}

impl Opening {
    pub fn new(
        ownership: Ownership,
        record: v1::Build,
        spec: BuildSpec,
        c_toolchains: HashMap<String, String>,
    ) -> Opening {
        let mut build = OpenBuild::new(ownership, record, EventLog::default());
        build.c_toolchains = c_toolchains;
        Opening {
            build,
            spec: Some(spec),
        }
    }
}

/// Milliseconds since the epoch.
pub(super) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_millis() as u64)
}

/// The record of a build that is submitted now; Err says what is wrong with the request.
pub(super) fn record(request: v1::SubmitRequest) -> Result<v1::Build, String> {
    let id: Result<BuildId, _> = request.build.parse();
    let id = id.map_err(|error| error.to_string())?;
    let graph = request.graph.ok_or("submitted without a graph")?;
    Digest::try_from(&graph).map_err(|error| error.to_string())?;
    let mut options = request.options.unwrap_or_default();
    if options.pool.is_empty() {
        options.pool = DEFAULT_POOL.to_owned();
    }
    Ok(v1::Build {
        build: id.to_string(),
        options: Some(options),
        graph: Some(graph),
        submitted_ms: now_ms(),
        ..v1::Build::default()
    })
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
    let bytes = store.read(digest).await.map_err(|error| {
        if error.is_lost_blob() {
            SubmitError::NoGraph(digest)
        } else {
            SubmitError::Unavailable(error.to_string())
        }
    })?;
    let graph = v1::Graph::decode(&bytes[..]);
    graph.map_err(|error| SubmitError::Invalid(format!("blob {digest} is not a graph: {error}")))
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
        let pool = options.pool.clone();
        let core_options = BuildOptions {
            keep_going: options.keep_going,
            no_cache: options.no_cache,
            user: options.user.into(),
            pool: pool.as_str().into(),
            by_platform: true,
        };
        BuildSpec::from_graph(id, core_options, &graph, |node| {
            let key = (part(&pool, node), node.package.clone(), node.kind);
            history.get(&key).copied()
        })
    };
    // Some hundred milliseconds for a graph of 100,000 actions.
    let spec = tokio::task::spawn_blocking(check).await;
    let spec = spec.map_err(|error| SubmitError::Unavailable(error.to_string()))?;
    spec.map_err(|error| SubmitError::Invalid(error.to_string()))
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

/// Reads what an earlier owner left of a build. `None` when that is nothing: the registry has lost the build.
pub(super) async fn adopt(
    ownership: Ownership,
    registry: Arc<dyn Registry>,
    store: MeteredStore,
    patience: Duration,
) -> Option<Box<Opening>> {
    let id = ownership.build;
    let mut retry = Retry::forever("reading a build that is taken over");
    let (record, events) = loop {
        match read(&*registry, id).await {
            Ok(read) => break read?,
            Err(error) => retry.again(&error).await,
        };
    };
    let mut standing = Standing::default();
    for (event, _) in &events {
        if let Err(error) = standing.add(event) {
            tracing::error!(build = %id, cursor = event.cursor, %error, "event of the earlier owner cannot be read and is passed over");
        }
    }
    let mut build = OpenBuild::new(ownership, record, EventLog::inherited(events));
    if let Some((time_ms, finished)) = &standing.finished {
        // The earlier owner has said its last word, and only the record does not say so.
        build.finish(finished, *time_ms);
        return Some(Box::new(Opening { build, spec: None }));
    }
    let graph = find_graph(&mut build, &mut standing, &*registry, &store, patience).await;
    let spec = match graph {
        Some(graph) => {
            build.c_toolchains = toolchain_names(&graph);
            let options = build.record.options.clone().unwrap_or_default();
            let mut retry = Retry::within("reading history", HISTORY_PATIENCE);
            let history = loop {
                match history(&*registry, &options.pool, &graph).await {
                    Ok(history) => break history,
                    Err(error) if retry.again(&error).await => {}
                    Err(_) => break History::new(),
                }
            };
            checked(id, options, graph, history).await.ok()
        }
        None => None,
    };
    build.in_queue = standing.in_queue;
    let spec = spec.map(|mut spec| {
        if standing.accepted {
            let priors: Vec<(NodeId, Prior)> = standing.priors.into_iter().collect();
            spec.resume(priors);
        }
        spec
    });
    if spec.is_none() && !standing.accepted {
        accept(&mut build);
    }
    Some(Box::new(Opening { build, spec }))
}

type Events = Vec<(v1::BuildEvent, Bytes)>;

async fn read(
    registry: &dyn Registry,
    id: BuildId,
) -> Result<Option<(v1::Build, Events)>, RegistryError> {
    let record = registry.get(id).await?;
    let events = read_events(registry, id).await?;
    Ok(record.zip(events))
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

/// Reads the graph, asking watchers for it if it is lost. `None` when it does not come.
async fn find_graph(
    build: &mut OpenBuild,
    standing: &mut Standing,
    registry: &dyn Registry,
    store: &MeteredStore,
    patience: Duration,
) -> Option<v1::Graph> {
    let mut end = None;
    loop {
        match read_graph(store, &build.record).await {
            Ok(graph) => return Some(graph),
            Err(SubmitError::Invalid(error)) => {
                tracing::error!(build = %build.ownership.build, %error, "graph of a build that is taken over cannot be read");
                return None;
            }
            Err(SubmitError::Unavailable(error)) => {
                tracing::warn!(build = %build.ownership.build, %error, "graph of a build that is taken over cannot be read now");
            }
            Err(SubmitError::NoGraph(digest)) => match end {
                Some(end) if Instant::now() >= end => return None,
                Some(_) => {}
                None => {
                    end = Some(Instant::now() + patience);
                    if !standing.accepted {
                        accept(build);
                        standing.accepted = true;
                    }
                    build.asking.push(digest);
                    build.ask(now_ms());
                    let append = build.append_rest();
                    // What is not written now is written when the build is open.
                    if let Err(error) = registry.append(&append).await {
                        tracing::debug!(%error, "asking for a lost graph failed");
                    }
                }
            },
        }
        sleep(LOOK).await;
    }
}

fn accept(build: &mut OpenBuild) {
    let total = build.record.counts.map_or(0, |counts| counts.total);
    let accepted = v1::build_event::Event::Accepted(v1::Accepted { total });
    build.log.push(now_ms(), accepted);
}
