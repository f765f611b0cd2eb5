//! The farm as JSON.
//!
//! The views call the gRPC services of this process, so that both always say the same.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use gofarm_proto::v1;
use gofarm_proto::v1::builds_server::Builds;
use gofarm_proto::v1::farm_server::Farm;
use serde::Serialize;
use tonic::{Code, Request, Status};

use gofarm_engine::convert;
use gofarm_queue::LeaseQueue;

/// Where the views take what they show. Cheap to clone.
pub struct Views<B, F> {
    /// For `/builds`.
    pub builds: Arc<B>,
    /// For `/workers`, and slots by pool.
    pub farm: Arc<F>,
    /// For `/queues`.
    pub queue: Arc<dyn LeaseQueue>,
}

impl<B, F> Clone for Views<B, F> {
    fn clone(&self) -> Self {
        Views {
            builds: self.builds.clone(),
            farm: self.farm.clone(),
            queue: self.queue.clone(),
        }
    }
}

impl<B: Builds, F: Farm> Views<B, F> {
    pub(super) fn router(self) -> Router {
        Router::new()
            .route("/builds", get(builds::<B, F>))
            .route("/workers", get(workers::<B, F>))
            .route("/workers/{name}", get(worker::<B, F>))
            .route("/queues", get(queues::<B, F>))
            .with_state(self)
    }

    async fn worker_list(&self) -> Result<Vec<v1::Worker>, Refused> {
        let answer = self
            .farm
            .workers(Request::new(v1::WorkersRequest {}))
            .await?;
        Ok(answer.into_inner().workers)
    }
}

/// What a service said instead of an answer.
struct Refused(StatusCode, String);

impl From<Status> for Refused {
    fn from(status: Status) -> Refused {
        let code = match status.code() {
            Code::Unavailable | Code::DeadlineExceeded => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Refused(code, status.message().to_owned())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Refused(code, message) = self;
        (code, Json(BTreeMap::from([("error", message)]))).into_response()
    }
}

#[derive(Serialize)]
struct Build {
    build: String,
    title: String,
    user: String,
    pool: String,
    /// `open`, `succeeded`, `failed` or `cancelled`.
    state: &'static str,
    submitted_ms: u64,
    finished_ms: Option<u64>,
    actions: v1::Counts,
    running: u32,
    owner: String,
}

impl From<v1::Build> for Build {
    fn from(build: v1::Build) -> Build {
        let state = convert::state_word(&build);
        let options = build.options.unwrap_or_default();
        Build {
            build: build.build,
            title: options.title,
            user: options.user,
            pool: options.pool,
            state,
            submitted_ms: build.submitted_ms,
            finished_ms: (build.finished_ms > 0).then_some(build.finished_ms),
            actions: build.counts.unwrap_or_default(),
            running: build.running,
            owner: build.owner,
        }
    }
}

async fn builds<B: Builds, F: Farm>(
    State(views): State<Views<B, F>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Vec<Build>>, Refused> {
    let open = query.is_some_and(|query| query.split('&').any(|word| word == "open"));
    let request = v1::ListRequest { limit: 0, open };
    let answer = views.builds.list(Request::new(request)).await?;
    let builds = answer.into_inner().builds;
    Ok(Json(builds.into_iter().map(Build::from).collect()))
}

#[derive(Serialize)]
struct Worker {
    name: String,
    pool: String,
    slots: u32,
    running: u32,
    memory: u64,
    seen_ms: u64,
    platforms: Vec<String>,
    /// Why it is given nothing, if so.
    set_aside: Option<String>,
}

impl From<v1::Worker> for Worker {
    fn from(worker: v1::Worker) -> Worker {
        Worker {
            name: worker.name,
            pool: worker.pool,
            slots: worker.slots,
            running: worker.running,
            memory: worker.memory,
            seen_ms: worker.seen_ms,
            platforms: worker.platforms,
            set_aside: (!worker.set_aside.is_empty()).then_some(worker.set_aside),
        }
    }
}

async fn workers<B: Builds, F: Farm>(
    State(views): State<Views<B, F>>,
) -> Result<Json<Vec<Worker>>, Refused> {
    let workers = views.worker_list().await?;
    Ok(Json(workers.into_iter().map(Worker::from).collect()))
}

async fn worker<B: Builds, F: Farm>(
    State(views): State<Views<B, F>>,
    Path(name): Path<String>,
) -> Result<Json<Worker>, Refused> {
    let mut workers = views.worker_list().await?.into_iter();
    let found = workers.find(|worker| worker.name == name);
    let unknown = || {
        Refused(
            StatusCode::NOT_FOUND,
            format!("no worker {name:?} was heard of lately"),
        )
    };
    found.map(|worker| Json(worker.into())).ok_or_else(unknown)
}

#[derive(Serialize)]
struct Queues {
    queued: usize,
    leased: usize,
    leases_given: u64,
    fenced: u64,
    pools: HashMap<String, Pool>,
}

#[derive(Serialize, Default)]
struct Pool {
    workers: u32,
    slots: u32,
    running: u32,
}

async fn queues<B: Builds, F: Farm>(
    State(views): State<Views<B, F>>,
) -> Result<Json<Queues>, Refused> {
    let stats = views.queue.stats().await;
    let stats =
        stats.map_err(|error| Refused(StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
    let mut pools: HashMap<String, Pool> = HashMap::new();
    for worker in views.worker_list().await? {
        let pool = pools.entry(worker.pool).or_default();
        pool.workers += 1;
        pool.slots += worker.slots;
        pool.running += worker.running;
    }
    Ok(Json(Queues {
        queued: stats.queued,
        leased: stats.leased,
        leases_given: stats.leases_given,
        fenced: stats.fenced,
        pools,
    }))
}
