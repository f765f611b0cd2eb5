//! Fuzz targets, replayed on their corpora by `cargo test` (see `docs/fuzzing.md`).

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use bolero::check;
use futures::stream::Empty;
use gofarm_proto::v1::builds_server::Builds;
use gofarm_proto::v1::farm_server::Farm;
use gofarm_proto::{Digest, v1};
use gofarm_rpc::FarmToken;
use tonic::{Response, Status};
use tower::ServiceExt;

use super::{Readiness, Views, router};
use crate::access::{Access, Token};
use crate::metrics::Metrics;
use gofarm_queue::{BlobPresence, InProcessQueue, MonotonicClock, QueueOptions};

/// A farm in which nothing happens: what is tried is what lies before it.
struct Quiet;

#[tonic::async_trait]
impl Builds for Quiet {
    type WatchStream = Empty<Result<v1::WatchResponse, Status>>;
    type ActionLogStream = Empty<Result<v1::ActionLogResponse, Status>>;

    async fn submit(
        &self,
        _: tonic::Request<v1::SubmitRequest>,
    ) -> Result<Response<v1::SubmitResponse>, Status> {
        Err(Status::unimplemented("submit"))
    }

    async fn watch(
        &self,
        _: tonic::Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("watch"))
    }

    async fn waiting(
        &self,
        _: tonic::Request<v1::WaitingRequest>,
    ) -> Result<Response<v1::WaitingResponse>, Status> {
        Err(Status::unimplemented("waiting"))
    }

    async fn cancel(
        &self,
        _: tonic::Request<v1::CancelRequest>,
    ) -> Result<Response<v1::CancelResponse>, Status> {
        Err(Status::unimplemented("cancel"))
    }

    async fn list(
        &self,
        _: tonic::Request<v1::ListRequest>,
    ) -> Result<Response<v1::ListResponse>, Status> {
        Ok(Response::new(v1::ListResponse {
            builds: vec![v1::Build::default()],
        }))
    }

    async fn get(&self, _: tonic::Request<v1::GetRequest>) -> Result<Response<v1::Build>, Status> {
        Err(Status::unimplemented("get"))
    }

    async fn provide(
        &self,
        _: tonic::Request<v1::ProvideRequest>,
    ) -> Result<Response<v1::ProvideResponse>, Status> {
        Err(Status::unimplemented("provide"))
    }

    async fn action_log(
        &self,
        _: tonic::Request<v1::ActionLogRequest>,
    ) -> Result<Response<Self::ActionLogStream>, Status> {
        Err(Status::unimplemented("action log"))
    }
}

#[tonic::async_trait]
impl Farm for Quiet {
    async fn workers(
        &self,
        _: tonic::Request<v1::WorkersRequest>,
    ) -> Result<Response<v1::WorkersResponse>, Status> {
        let worker = v1::Worker {
            name: "w1".into(),
            ..v1::Worker::default()
        };
        Ok(Response::new(v1::WorkersResponse {
            workers: vec![worker],
        }))
    }
}

struct Everything;

#[async_trait::async_trait]
impl BlobPresence for Everything {
    async fn missing(&self, _: &[Digest]) -> Result<Vec<Digest>, String> {
        Ok(Vec::new())
    }
}

/// Any path, method and token: an answer, never the server's own trouble, and nothing of the farm without the token.
#[test]
fn paths() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let queue = InProcessQueue::new(
        QueueOptions::default(),
        Arc::new(MonotonicClock::new()),
        Arc::new(Everything),
    );
    let views = Views {
        builds: Arc::new(Quiet),
        farm: Arc::new(Quiet),
        queue: Arc::new(queue),
    };
    let access = Access::new(Some(Token::of(&FarmToken::new(b"secret", "test").unwrap())));
    let service = router(
        Readiness::new(Vec::new()),
        Arc::new(Metrics::new()),
        views,
        access,
    );
    let farm = AssertUnwindSafe((runtime, service));
    check!().for_each(|input: &[u8]| {
        let (runtime, service) = &*farm;
        let mut words = input.splitn(3, |&byte| byte == b'\n');
        let mut word = || words.next().unwrap_or_default();
        let (method, uri, token) = (word(), word(), word());
        let Ok(request) = Request::builder()
            .method(method)
            .uri(uri)
            .header("authorization", token)
            .body(Body::empty())
        else {
            return;
        };
        let path = request.uri().path().to_owned();
        let answer = runtime.block_on(service.clone().oneshot(request));
        let Ok(answer) = answer;
        let status = answer.status();
        assert!(!status.is_server_error(), "{path}: {status}");
        let of_the_farm = ["/builds", "/workers", "/queues"]
            .iter()
            .any(|known| path.starts_with(known));
        if of_the_farm && status.is_success() {
            assert_eq!(token, b"Bearer secret");
        }
        let open = ["/", "/healthz", "/readyz", "/metrics"];
        assert!(
            of_the_farm || status != StatusCode::OK || open.contains(&&*path),
            "{path}"
        );
    });
}
