//! Redis behind TLS.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::process::{LIMIT, Scheduler, refused};

/// A redis-server that is spoken to by TLS alone. Killed when it is dropped.
struct Redis {
    server: Child,
    folder: tempfile::TempDir,
    port: u16,
}

impl Redis {
    fn start() -> Redis {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(folder.path().join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(
            folder.path().join("key.pem"),
            made.signing_key.serialize_pem(),
        )
        .unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        #[allow(clippy::disallowed_methods, reason = "a server of the test")]
        let server = Command::new("redis-server")
            .args(["--port", "0", "--tls-port", &port.to_string()])
            .args(["--bind", "127.0.0.1", "--save", ""])
            .args(["--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem"])
            .args(["--tls-ca-cert-file", "cert.pem", "--tls-auth-clients", "no"])
            .current_dir(&folder)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let redis = Redis {
            server,
            folder,
            port,
        };
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < LIMIT, "redis-server does not come up");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        redis
    }

    fn url(&self) -> String {
        format!("--redis=rediss://localhost:{}", self.port)
    }

    fn certificate(&self) -> String {
        let path: &Path = self.folder.path();
        path.join("cert.pem").to_str().unwrap().to_owned()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
fn redis_is_spoken_to_by_tls() {
    let redis = Redis::start();
    let trusted = redis.certificate();
    for scheduler in [
        Scheduler::start(&[&redis.url(), &format!("--redis-ca={trusted}")]),
        Scheduler::start_with(&[&redis.url()], &[("SSL_CERT_FILE", &trusted)]),
    ] {
        let (status, body) = scheduler.get("/readyz", None);
        assert_eq!(status, 200, "{body}");
    }
}

#[test]
fn a_redis_whose_certificate_nobody_vouches_for_is_refused() {
    let redis = Redis::start();
    let other = Redis::start();
    let trusted = format!("--redis-ca={}", other.certificate());
    let (code, said) = refused(&[&redis.url(), &trusted], &[]);
    assert!(
        code == 3 && said.contains("certificate") && said.contains("--redis"),
        "{code}: {said}"
    );
}

#[test]
fn authorities_that_are_none_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, "nothing").unwrap();
    let trusted = format!("--redis-ca={}", file.display());
    let damaged = folder.path().join("damaged.pem");
    let text = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(&damaged, text).unwrap();
    let damaged = format!("--redis-ca={}", damaged.display());
    for (url, ca, expected) in [
        (
            "rediss://localhost:1",
            damaged.as_str(),
            (3, "cannot be used"),
        ),
        ("rediss://localhost:1", trusted.as_str(), (3, "must be PEM")),
        (
            "rediss://localhost:1",
            "--redis-ca=/nowhere",
            (3, "cannot be read"),
        ),
        ("redis://localhost:1", trusted.as_str(), (2, "rediss://")),
    ] {
        let (code, said) = refused(&["--redis", url, ca], &[]);
        assert!(
            code == expected.0 && said.contains(expected.1),
            "{code}: {said}"
        );
    }
}
