//! What is refused before anything is served.

use super::process::{Scheduler, refused};

#[test]
fn it_does_not_listen_beyond_this_machine_without_a_token() {
    for args in [["--listen", "0.0.0.0:0"], ["--http", "[::]:0"]] {
        let (code, said) = refused(&args, &[]);
        assert_eq!(code, 2, "{said}");
        for word in [args[0], "--token-file", "GOFARM_TOKEN", "--insecure"] {
            assert!(said.contains(word), "{word}: {said}");
        }
    }
}

#[test]
fn a_token_that_is_none_is_refused() {
    for path in ["/nowhere/token", "/dev/zero"] {
        let said_of = format!("the token file {path} ");
        let (code, said) = refused(&["--token-file", path], &[]);
        assert!(code == 2 && said.contains(&said_of), "{code}: {said}");
        let (code, said) = refused(&[], &[("GOFARM_TOKEN_FILE", path)]);
        assert!(code == 2 && said.contains(&said_of), "{code}: {said}");
    }
    let (code, said) = refused(&[], &[("GOFARM_TOKEN", "two words")]);
    assert!(code == 2 && said.contains("GOFARM_TOKEN"), "{said}");
}

#[test]
fn settings_that_cannot_be_followed_are_named() {
    for (args, expected, words) in [
        (["--redis", "redis://127.0.0.1:1"], 3, ["Redis", "--redis"]),
        (["--redis", "http://host"], 2, ["redis://", "--redis"]),
        (
            ["--store", "ftp://host/path"],
            2,
            ["ftp://host/path", "--store"],
        ),
        (
            ["--store", "file:///proc/nothing"],
            3,
            ["/proc/nothing", "cannot be used"],
        ),
    ] {
        let ports = ["--listen=127.0.0.1:0", "--http=127.0.0.1:0"];
        let (code, said) = refused(&[&args[..], &ports].concat(), &[]);
        assert_eq!(code, expected, "{said}");
        for word in words {
            assert!(said.contains(word), "{word}: {said}");
        }
    }
}

#[test]
fn a_command_line_or_variable_that_is_wrong_ends_with_2() {
    for (args, env, word) in [
        (
            &["--lease-ttl", "10"][..],
            &[][..],
            "missing unit (try 90s, 10m or 1h30m)",
        ),
        (
            &["--local-size", "5"],
            &[],
            "missing unit (try 512MiB or 50GiB)",
        ),
        (&[], &[("GOFARM_LISTEN", "here")], "--listen"),
        (&[], &[("RUST_LOG", "=,=")], "RUST_LOG"),
        (&["--tls-key", "k.pem"], &[], "--tls-cert"),
        (
            &["--listen=127.0.0.1:0", "--http=127.0.0.1:0"],
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318"),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ],
            "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
        ),
        (
            &["--listen=127.0.0.1:0", "--http=127.0.0.1:0"],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317")],
            "OTEL_EXPORTER_OTLP_ENDPOINT=collector:4317",
        ),
    ] {
        let (code, said) = refused(args, env);
        assert!(code == 2 && said.contains(word), "{code}: {said}");
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let first = Scheduler::start(&[]);
    let (code, said) = refused(&["--listen", &first.grpc], &[]);
    assert_eq!(code, 3, "{said}");
    assert!(
        said.contains(&first.grpc) && said.contains("another scheduler"),
        "{said}"
    );
}

#[test]
fn one_without_redis_says_that_it_is_alone() {
    let scheduler = Scheduler::start(&[]);
    assert!(
        scheduler.log[0].contains("no --redis"),
        "{:?}",
        scheduler.log
    );
    // And the store is where state belongs.
    assert!(
        scheduler
            .home
            .path()
            .join(".local/state/gofarm/store/cas")
            .is_dir()
    );
}
