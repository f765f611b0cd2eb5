//! TLS on the gRPC port.

use gofarm_proto::v1;
use gofarm_proto::v1::farm_client::FarmClient;
use tonic::transport::{Certificate, Channel, ClientTlsConfig};

use super::process::{Scheduler, refused};

#[tokio::test]
async fn with_a_certificate_calls_are_encrypted() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["farm.test".to_owned()]).unwrap();
    let (cert, key) = (
        folder.path().join("cert.pem"),
        folder.path().join("key.pem"),
    );
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let files = [cert.to_str().unwrap(), key.to_str().unwrap()];
    let scheduler = Scheduler::start(&["--tls-cert", files[0], "--tls-key", files[1]]);

    let trusting = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(made.cert.pem()))
        .domain_name("farm.test");
    let endpoint = Channel::from_shared(format!("https://{}", scheduler.grpc)).unwrap();
    let channel = endpoint
        .tls_config(trusting)
        .unwrap()
        .connect()
        .await
        .unwrap();
    let answer = FarmClient::new(channel)
        .workers(v1::WorkersRequest {})
        .await;
    assert_eq!(answer.unwrap().into_inner().workers.len(), 0);

    // In clear text nobody is heard.
    let plain = Channel::from_shared(format!("http://{}", scheduler.grpc)).unwrap();
    let plain = FarmClient::new(plain.connect_lazy());
    assert!(plain.clone().workers(v1::WorkersRequest {}).await.is_err());
}

#[test]
fn files_that_are_no_certificate_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cert.pem");
    std::fs::write(&file, "nothing").unwrap();
    let file = file.to_str().unwrap();
    let (code, said) = refused(&["--tls-cert", file, "--tls-key", file], &[]);
    assert!(
        code == 3 && said.contains(file) && said.contains("PEM"),
        "{code}: {said}"
    );
    let (code, said) = refused(&["--tls-cert", "/nowhere/a", "--tls-key", file], &[]);
    assert!(
        code == 3 && said.contains("--tls-cert /nowhere/a"),
        "{code}: {said}"
    );
}
