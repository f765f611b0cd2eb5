//! Who may call.

use std::time::Duration;

use gofarm_proto::v1;
use gofarm_proto::v1::blobs_client::BlobsClient;
use gofarm_proto::v1::builds_client::BuildsClient;
use gofarm_proto::v1::farm_client::FarmClient;
use gofarm_proto::v1::leases_client::LeasesClient;
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use super::process::{Scheduler, acquire};

fn guarded() -> Scheduler {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "s3cret\n").unwrap();
    Scheduler::start(&["--token-file", file.to_str().unwrap()])
}

fn with<T>(message: T, token: Option<&str>) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(token) = token {
        let value = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    request
}

#[tokio::test]
async fn every_service_asks_for_the_token() {
    let scheduler = guarded();
    let channel = scheduler.channel().await;
    for (token, code) in [
        (None, Code::Unauthenticated),
        (Some("wrong"), Code::Unauthenticated),
        (Some("s3cret"), Code::Ok),
    ] {
        let mut answers = Vec::new();
        let request = with(v1::FindMissingRequest::default(), token);
        let answer = BlobsClient::new(channel.clone())
            .find_missing(request)
            .await;
        answers.push(("blobs", answer.err()));
        let request = with(v1::ListRequest::default(), token);
        let answer = BuildsClient::new(channel.clone()).list(request).await;
        answers.push(("builds", answer.err()));
        let request = with(v1::WorkersRequest::default(), token);
        let answer = FarmClient::new(channel.clone()).workers(request).await;
        answers.push(("farm", answer.err()));
        let request = with(acquire(Duration::ZERO), token);
        let answer = LeasesClient::new(channel.clone()).acquire(request).await;
        answers.push(("leases", answer.err()));
        for (service, error) in answers {
            let got = error.as_ref().map_or(Code::Ok, |status| status.code());
            assert_eq!(got, code, "{service} with {token:?}: {error:?}");
        }
    }
}

#[tokio::test]
async fn health_is_for_everyone() {
    let scheduler = guarded();
    let mut client = HealthClient::new(scheduler.channel().await);
    for service in ["", "gofarm.v1.Builds", "gofarm.v1.Leases"] {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        // What it depends on is asked after the start.
        let mut status = 0;
        for _ in 0..100 {
            status = match client.check(request.clone()).await {
                Ok(answer) => answer.into_inner().status,
                Err(error) if error.code() == Code::NotFound => 0,
                Err(error) => panic!("{error}"),
            };
            if status == 1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(status, 1, "{service}");
    }
}

#[tokio::test]
async fn reflection_knows_the_services() {
    let scheduler = guarded();
    let ask = |token| {
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        with(tokio_stream::once(request), token)
    };
    let mut client = ServerReflectionClient::new(scheduler.channel().await);
    let refused = client.server_reflection_info(ask(None)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let answer = client.server_reflection_info(ask(Some("s3cret"))).await;
    let answer = answer
        .unwrap()
        .into_inner()
        .message()
        .await
        .unwrap()
        .unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("{answer:?}");
    };
    let names: Vec<String> = list
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    for name in ["Blobs", "Builds", "Farm", "Leases"] {
        assert!(names.contains(&format!("gofarm.v1.{name}")), "{names:?}");
    }
}

#[test]
fn the_views_ask_for_the_token_and_probes_do_not() {
    let scheduler = guarded();
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(scheduler.get(path, None).0, 200, "{path}");
    }
    for path in ["/builds", "/builds?open", "/workers", "/queues"] {
        assert_eq!(scheduler.get(path, None).0, 401, "{path}");
        assert_eq!(scheduler.get(path, Some("wrong")).0, 401, "{path}");
        let (status, body) = scheduler.get(path, Some("s3cret"));
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str::<serde_json::Value>(&body).unwrap();
    }
}
