//! Redis behind TLS.

use gofarm_testkit::RedisServer;

use super::process::{Scheduler, refused};

/// A redis-server that is spoken to by TLS alone, with a certificate that it has made itself.
fn redis() -> RedisServer {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    RedisServer::with_tls(&made.cert.pem(), &made.signing_key.serialize_pem())
}

/// How a scheduler is told of it.
fn flag(redis: &RedisServer) -> String {
    format!("--redis={}", redis.url(0))
}

#[test]
fn redis_is_spoken_to_by_tls() {
    let redis = redis();
    let trusted = redis.certificate();
    let trusted = trusted.to_str().unwrap();
    for scheduler in [
        Scheduler::start(&[&flag(&redis), &format!("--redis-ca={trusted}")]),
        Scheduler::start_with(&[&flag(&redis)], &[("SSL_CERT_FILE", trusted)]),
    ] {
        let (status, body) = scheduler.get("/readyz", None);
        assert_eq!(status, 200, "{body}");
    }
}

#[test]
fn a_redis_whose_certificate_nobody_vouches_for_is_refused() {
    let (asked, other) = (redis(), redis());
    let trusted = format!("--redis-ca={}", other.certificate().display());
    let (code, said) = refused(&[&flag(&asked), &trusted], &[]);
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
