//! The HTTP port: for probes, Prometheus, and people with a browser or curl.
//!
//! | path | answer |
//! |---|---|
//! | `/` | what there is |
//! | `/healthz` | 200 while the process serves at all |
//! | `/readyz` | 200 when what it depends on answers and it is not going away, else 503; which of them as JSON |
//! | `/metrics` | OpenMetrics text |
//! | `/builds` | known builds, the latest first; `/builds?open` only those that are not over |
//! | `/workers`, `/workers/NAME` | workers that have shown themselves lately |
//! | `/queues` | how much waits and runs, in all and by pool |
//!
//! The last three ask for the farm's token when there is one, as `authorization: Bearer TOKEN`.

#[cfg(test)]
mod fuzz;
mod ready;
mod views;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use gofarm_proto::v1::builds_server::Builds;
use gofarm_proto::v1::farm_server::Farm;

pub use ready::{Check, Readiness, Report};
pub use views::Views;

use super::access::Access;
use super::listen::catch_http;
use super::metrics::Metrics;

/// What `/` says.
const INDEX: &str = concat!(
    "gofarm-scheduler ",
    env!("CARGO_PKG_VERSION"),
    "\n\n\
     /healthz        200 while the process serves at all\n\
     /readyz         200 when it can do its work, else 503; what is wrong as JSON\n\
     /metrics        OpenMetrics, for Prometheus\n\
     /builds         known builds as JSON, the latest first; /builds?open: those that are not over\n\
     /workers        workers that were heard of lately as JSON; /workers/NAME: one\n\
     /queues         what waits and runs, and slots by pool, as JSON\n\n\
     /builds, /workers and /queues ask for the farm's token, if it has one, as authorization: Bearer TOKEN.\n\
     Clients and workers talk gRPC, on another port. docs/deploy.md of the repository explains all of it.\n"
);

/// Everything of the table above.
pub fn router<B: Builds, F: Farm>(
    readiness: Readiness,
    metrics: Arc<Metrics>,
    views: Views<B, F>,
    access: Access,
) -> Router {
    let guarded = views
        .router()
        .route_layer(middleware::from_fn_with_state(access, guard));
    caught(
        Router::new()
            .route("/", get(async || INDEX))
            .route("/healthz", get(async || "ok\n"))
            .route("/readyz", get(readyz).with_state(readiness))
            .route("/metrics", get(render).with_state(metrics))
            .merge(guarded),
    )
}

/// A panic in one request ends that one.
pub(crate) fn caught(router: Router) -> Router {
    router.layer(middleware::from_fn(catch_http))
}

async fn guard(State(access): State<Access>, request: Request, next: Next) -> Response {
    match access.check(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refused) => {
            let text = format!("{}\n", refused.message());
            (StatusCode::UNAUTHORIZED, text).into_response()
        }
    }
}

async fn readyz(State(readiness): State<Readiness>) -> (StatusCode, Json<Report>) {
    let report = readiness.report().await;
    let code = if report.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (code, Json(report))
}

async fn render(State(metrics): State<Arc<Metrics>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, Metrics::CONTENT_TYPE)], metrics.render())
}
