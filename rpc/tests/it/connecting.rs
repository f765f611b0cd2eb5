//! Farms that cannot be reached, do not know us, or are somebody else.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use gofarm_rpc::{BlobClient, ConnectOptions, Connection, FarmToken, RpcError};
use gofarm_scheduler::blobs::BlobsService;
use gofarm_store::{ErrorClass, FarmStore};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Status};

use crate::farm::{soon, store};

/// A farm with a certificate for `localhost`, or a token, or neither.
struct Guarded {
    address: SocketAddr,
    authority: PathBuf,
    folder: TempDir,
    server: JoinHandle<()>,
}

impl Guarded {
    async fn start(tls: bool, token: Option<&'static str>) -> Guarded {
        let (local, folder) = store();
        let check = move |request: Request<()>| {
            let sent = request.metadata().get("authorization");
            match token {
                Some(token)
                    if sent.is_none_or(|sent| sent != format!("Bearer {token}").as_str()) =>
                {
                    Err(Status::unauthenticated("no"))
                }
                _ => Ok(request),
            }
        };
        let service = BlobsService::new(FarmStore::on_disk(local)).into_server();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let certificate = certified.cert.pem();
        let authority = folder.path().join("ca.pem");
        std::fs::write(&authority, &certificate).unwrap();
        let mut server = Server::builder();
        if tls {
            let identity = Identity::from_pem(certificate, certified.signing_key.serialize_pem());
            let config = ServerTlsConfig::new().identity(identity);
            server = server.tls_config(config).unwrap();
        }
        let server = server
            .add_service(InterceptedService::new(service, check))
            .serve_with_incoming(TcpListenerStream::new(listener));
        Guarded {
            address,
            authority,
            folder,
            server: tokio::spawn(async move { server.await.unwrap() }),
        }
    }

    fn url(&self, scheme: &str, host: &str) -> String {
        format!("{scheme}://{host}:{}", self.address.port())
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn ask(url: &str, options: ConnectOptions, deadline: Instant) -> Result<(), RpcError> {
    let client = BlobClient::new(Connection::connect(url, options)?);
    let asked = [gofarm_proto::Digest::of(b"x")];
    client.missing(&asked, deadline).await.map(drop)
}

fn trusting(ca: &std::path::Path) -> ConnectOptions {
    ConnectOptions {
        ca: Some(ca.to_owned()),
        ..ConnectOptions::default()
    }
}

fn with_token(token: &str) -> ConnectOptions {
    ConnectOptions {
        token: Some(FarmToken::new(token.as_bytes(), "the test").unwrap()),
        ..ConnectOptions::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let deadline = Instant::now() + Duration::from_millis(400);
    let error = ask(&url, ConnectOptions::default(), deadline)
        .await
        .unwrap_err();
    assert!(error.is_transient());
    assert_eq!(error.class(), ErrorClass::Environment);
    let text = error.to_string();
    let begins = format!("cannot find missing blobs at the farm {url}: ");
    assert!(text.starts_with(&begins), "{text}");
    assert!(text.contains("Connection refused"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_sent_with_every_call() {
    let farm = Guarded::start(false, Some("secret")).await;
    let url = farm.url("http", "127.0.0.1");
    ask(&url, with_token("secret\n"), soon()).await.unwrap();
    for (options, says) in [
        (with_token("other"), "refused the token"),
        (ConnectOptions::default(), "asks for a token"),
    ] {
        let error = ask(&url, options, soon()).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::User);
        let text = error.to_string();
        assert!(
            text.contains(says) && text.contains("GOFARM_TOKEN"),
            "{text}"
        );
        assert!(!text.contains("other;"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_trusted_when_its_authority_is() {
    let farm = Guarded::start(true, Some("secret")).await;
    let url = farm.url("https", "localhost");
    let options = ConnectOptions {
        token: with_token("secret").token,
        ..trusting(&farm.authority)
    };
    ask(&url, options, soon()).await.unwrap();

    let other = Guarded::start(true, None).await;
    for (url, ca) in [
        (&url, &other.authority),
        (&farm.url("https", "127.0.0.1"), &farm.authority),
    ] {
        let began = Instant::now();
        let error = ask(url, trusting(ca), soon()).await.unwrap_err();
        assert!(matches!(error, RpcError::Certificate { .. }), "{error}");
        assert!(error.to_string().contains("certificate"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(10));
    }
    let absent = farm.folder.path().join("absent.pem");
    let error = ask(&url, trusting(&absent), soon()).await.unwrap_err();
    assert!(error.to_string().contains("absent.pem"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_farm_without_tls_is_told_from_one_that_is_down() {
    let farm = Guarded::start(false, None).await;
    let url = farm.url("https", "localhost");
    let error = ask(&url, trusting(&farm.authority), soon())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("does not speak TLS"), "{error}");
}

/// As a scheduler's port for probes and pages does, or a gateway.
async fn pages(status: u16, page: &'static str) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let status = axum::http::StatusCode::from_u16(status).unwrap();
    let router = axum::Router::new().fallback(move || async move { (status, page) });
    let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_pages_is_no_farm() {
    for (status, page) in [
        (404, ""),
        (404, "not here"),
        (400, ""),
        (401, ""),
        (500, ""),
        (200, "<html>"),
    ] {
        let (url, server) = pages(status, page).await;
        let error = ask(&url, ConnectOptions::default(), soon())
            .await
            .unwrap_err();
        server.abort();
        assert!(
            matches!(error, RpcError::NoFarm { .. }),
            "{status} {error:?}"
        );
        assert_eq!(
            (error.class(), error.is_transient()),
            (ErrorClass::Environment, false)
        );
        let text = error.to_string();
        let begins = format!("cannot find missing blobs at {url}: no farm's gRPC port is there (");
        assert!(
            text.starts_with(&begins) && text.contains("--listen"),
            "{text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_whose_farm_is_away_is_asked_again() {
    let (url, server) = pages(503, "").await;
    let deadline = Instant::now() + Duration::from_millis(400);
    let error = ask(&url, ConnectOptions::default(), deadline)
        .await
        .unwrap_err();
    server.abort();
    assert!(error.is_transient(), "{error:?}");
}
