//! The command line of `gofarm-scheduler`, and the environment behind it.

mod command;
mod moment;
mod retention;
mod store;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use gofarm_amount::parse_time_span;
use gofarm_daemon::LogFormat;
use gofarm_queue::QueueOptions;

pub use command::{Command, CommandLine, Fsck, Gc, Invalidate};
pub use retention::RetentionOptions;
pub use store::{NoHome, StoreOptions};

/// Decides what of each build runs, and hands it to workers.
///
/// Any number of these run over one Redis and one store. Every setting can also be given by the variable that stands behind it.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "gofarm-scheduler", version, max_term_width = 100)]
pub struct Options {
    #[allow(
        rustdoc::broken_intra_doc_links,
        reason = "the brackets of the address are for readers of --help"
    )]
    /// Redis or Valkey that keeps queues, leases and the ownership of builds: redis://[user:password@]host:port[/database], or
    /// rediss:// for TLS. Without it this is the farm's only scheduler, and builds under way do not outlive it
    #[arg(long, env = "GOFARM_REDIS", value_name = "URL", hide_env_values = true)]
    pub redis: Option<String>,

    /// Certificate authorities to trust instead of the system's for a rediss:// URL, PEM
    #[arg(long, env = "GOFARM_REDIS_CA", value_name = "FILE", requires = "redis")]
    pub redis_ca: Option<PathBuf>,

    /// Where blobs and results are kept.
    #[command(flatten)]
    pub place: StoreOptions,

    /// How much of that is kept.
    #[command(flatten)]
    pub retention: RetentionOptions,

    /// Address for clients and workers (gRPC)
    #[arg(
        long,
        env = "GOFARM_LISTEN",
        value_name = "IP:PORT",
        default_value = "127.0.0.1:8980"
    )]
    pub listen: SocketAddr,

    /// Address for probes, metrics and JSON views (HTTP)
    #[arg(
        long,
        env = "GOFARM_HTTP",
        value_name = "IP:PORT",
        default_value = "127.0.0.1:8981"
    )]
    pub http: SocketAddr,

    /// File with the token that every call must carry; or the token itself in GOFARM_TOKEN
    #[arg(long, env = "GOFARM_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// Listen beyond this machine although no token is set: everyone who reaches the ports can run commands on the workers
    #[arg(long, env = "GOFARM_INSECURE")]
    pub insecure: bool,

    /// Certificate chain for TLS on the gRPC port, PEM
    #[arg(
        long,
        env = "GOFARM_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key"
    )]
    pub tls_cert: Option<PathBuf>,

    /// Its private key, PEM
    #[arg(
        long,
        env = "GOFARM_TLS_KEY",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    pub tls_key: Option<PathBuf>,

    /// Tells farms apart that share a Redis
    #[arg(
        long,
        env = "GOFARM_NAMESPACE",
        value_name = "NAME",
        default_value = "gofarm"
    )]
    pub namespace: String,

    /// How long a worker holds a task without saying that it is still there
    #[arg(long, env = "GOFARM_LEASE_TTL", value_name = "TIME", default_value = "10s", value_parser = parse_time_span)]
    pub lease_ttl: Duration,

    /// How long calls under way may go on once the scheduler is told to end
    #[arg(long, env = "GOFARM_DRAIN_TIMEOUT", value_name = "TIME", default_value = "10s", value_parser = parse_time_span)]
    pub drain_timeout: Duration,

    /// How log lines are written to stderr; RUST_LOG says which (info, or gofarm_scheduler=debug,warn)
    #[arg(
        long,
        env = "GOFARM_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text"
    )]
    pub log_format: LogFormat,
}

impl Options {
    /// The times that the queue works with. Those that follow from the time to live of a lease shrink with it, so that a
    /// farm whose leases are short notices everything soon.
    pub fn queue(&self) -> QueueOptions {
        let usual = QueueOptions::default();
        QueueOptions {
            lease_ttl: self.lease_ttl,
            worker_ttl: (3 * self.lease_ttl).min(usual.worker_ttl),
            ..usual
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Options::command().debug_assert();
    }

    #[test]
    fn without_arguments_only_this_machine_is_served() {
        let options = Options::try_parse_from(["gofarm-scheduler"]).unwrap();
        assert!(options.listen.ip().is_loopback());
        assert!(options.http.ip().is_loopback());
        assert!(!options.insecure);
    }

    #[test]
    fn a_certificate_needs_its_key() {
        let refused =
            Options::try_parse_from(["gofarm-scheduler", "--tls-cert", "a.pem"]).unwrap_err();
        assert!(refused.to_string().contains("--tls-key"), "{refused}");
    }

    #[test]
    fn sizes_and_times_are_those_of_all_programs() {
        let given = [
            "--local-size=1.5GiB",
            "--store-age=30d",
            "--drain-timeout=1h2m",
        ];
        let options =
            Options::try_parse_from([&["gofarm-scheduler"], &given[..]].concat()).unwrap();
        assert_eq!(options.place.local_size, 3 << 29);
        let day = Duration::from_secs(24 * 60 * 60);
        assert_eq!(options.retention.store_age, Some(30 * day));
        assert_eq!(options.drain_timeout, Duration::from_secs(3720));
    }

    #[test]
    fn workers_are_forgotten_sooner_when_leases_are_short() {
        let options =
            Options::try_parse_from(["gofarm-scheduler", "--lease-ttl", "500ms"]).unwrap();
        assert_eq!(options.queue().lease_ttl, Duration::from_millis(500));
        assert_eq!(options.queue().worker_ttl, Duration::from_millis(1500));
    }
}
