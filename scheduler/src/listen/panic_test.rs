//! Calls that panic, over real ports.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use futures::Stream;
use gofarm_proto::v1;
use gofarm_proto::v1::builds_client::BuildsClient;
use gofarm_proto::v1::builds_server::{Builds, BuildsServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status};

use super::{Ports, Services};
use crate::access::Access;
use crate::http::caught;
use crate::metrics::Metrics;

/// Panics in each of the places in which a call can.
struct Broken;

type Events<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Builds for Broken {
    type WatchStream = Events<v1::WatchResponse>;
    type ActionLogStream = Events<v1::ActionLogResponse>;

    async fn submit(
        &self,
        _: Request<v1::SubmitRequest>,
    ) -> Result<Response<v1::SubmitResponse>, Status> {
        // On a thread of its own, as what waits for the disk does.
        match tokio::task::spawn_blocking(|| panic!("on another thread")).await {
            Ok(()) => Err(Status::ok("")),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    async fn watch(
        &self,
        _: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let mut told = 0;
        let stream = futures::stream::poll_fn(move |context| {
            told += 1;
            match told {
                1 => Poll::Ready(Some(Ok(v1::WatchResponse::default()))),
                // What is there by then is sent.
                2 => {
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
                _ => panic!("in the midst of an answer"),
            }
        });
        Ok(Response::new(Box::pin(stream)))
    }

    async fn waiting(
        &self,
        _: Request<v1::WaitingRequest>,
    ) -> Result<Response<v1::WaitingResponse>, Status> {
        // Until the test is over: a call that is under way while others panic.
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok(Response::new(Default::default()))
    }

    async fn cancel(
        &self,
        _: Request<v1::CancelRequest>,
    ) -> Result<Response<v1::CancelResponse>, Status> {
        Err(Status::unimplemented("cancel"))
    }

    async fn list(
        &self,
        _: Request<v1::ListRequest>,
    ) -> Result<Response<v1::ListResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn get(&self, _: Request<v1::GetRequest>) -> Result<Response<v1::Build>, Status> {
        panic!("before the answer")
    }

    async fn provide(
        &self,
        _: Request<v1::ProvideRequest>,
    ) -> Result<Response<v1::ProvideResponse>, Status> {
        Err(Status::unimplemented("provide"))
    }

    async fn action_log(
        &self,
        _: Request<v1::ActionLogRequest>,
    ) -> Result<Response<Self::ActionLogStream>, Status> {
        Err(Status::unimplemented("action log"))
    }
}

async fn http_get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_call_that_panics_is_answered_and_the_others_go_on() {
    let ports = Ports {
        grpc: TcpListener::bind("127.0.0.1:0").await.unwrap(),
        http: TcpListener::bind("127.0.0.1:0").await.unwrap(),
    };
    let (grpc, http) = (ports.grpc.local_addr(), ports.http.local_addr());
    let metrics = Arc::new(Metrics::new());
    let views = Router::new()
        .route("/broken", get(async || -> &str { panic!("of a view") }))
        .route("/sound", get(async || "sound"));
    let services = Services {
        routes: Routes::new(BuildsServer::new(Broken)),
        http: caught(views),
        access: Access::new(None),
        rpc: metrics.rpc.clone(),
        tls: None,
        lease_ttl: Duration::from_secs(10),
    };
    let stop = CancellationToken::new();
    let stopped = stop.clone().cancelled_owned();
    let serving = tokio::spawn(ports.serve(services, stopped, async {}, Duration::ZERO));

    let address = format!("http://{}", grpc.unwrap());
    let client = BuildsClient::connect(address).await.unwrap();
    let mut waiting = client.clone();
    let waiting = tokio::spawn(async move { waiting.waiting(v1::WaitingRequest::default()).await });
    let mut client = client;
    let defect = |status: Status| {
        assert_eq!(status.code(), Code::Internal, "{status}");
        assert!(status.message().contains("has a defect"), "{status}");
        assert!(!status.message().contains("answer"), "{status}");
    };
    defect(client.get(v1::GetRequest::default()).await.unwrap_err());
    let submitted = client.submit(v1::SubmitRequest::default()).await;
    defect(submitted.unwrap_err());
    let watched = client.watch(v1::WatchRequest::default()).await.unwrap();
    let mut watched = watched.into_inner();
    assert!(watched.message().await.unwrap().is_some());
    defect(watched.message().await.unwrap_err());
    // On the same connection, one that began before and one that comes after.
    assert!(client.list(v1::ListRequest::default()).await.is_ok());
    assert!(waiting.await.unwrap().is_ok());
    let said = metrics.render();
    for method in ["Get", "Submit", "Watch"] {
        let counted = said.lines().any(|line| {
            line.starts_with("gofarm_rpc_seconds_count")
                && line.contains(&format!("Builds/{method}\""))
                && line.ends_with("code=\"Internal\"} 1")
        });
        assert!(counted, "{method} in {said}");
    }
    assert!(said.contains("\ngofarm_panics_total "), "{said}");

    let http = http.unwrap().to_string();
    let answer = http_get(&http, "/broken").await;
    assert!(answer.starts_with("HTTP/1.1 500"), "{answer}");
    assert!(answer.contains("has a defect"), "{answer}");
    assert!(http_get(&http, "/sound").await.ends_with("sound"));
    stop.cancel();
    serving.await.unwrap().unwrap();
}
