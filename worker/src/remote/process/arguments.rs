//! The command line of `gofarm-worker`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use gofarm_amount::{parse_size, parse_time_span};
use gofarm_daemon::LogFormat;

/// A worker of a build farm: takes actions from a scheduler, runs them here, and brings their outputs to the farm's store.
///
/// On SIGTERM or SIGINT it takes nothing more, finishes what runs within the drain timeout, gives back the rest and exits
/// with 0. A second signal ends it at once. RUST_LOG sets what is logged (default: info).
#[derive(Debug, Clone, Parser)]
#[command(name = "gofarm-worker", version)]
pub struct Arguments {
    /// Where the scheduler is: http://host:port or https://host:port. Several replicas: repeat, or separate by commas; one of
    /// them is used until it is gone
    #[arg(
        long,
        env = "GOFARM_SERVER",
        value_delimiter = ',',
        required = true,
        value_name = "URL"
    )]
    pub server: Vec<String>,

    /// A file with the farm's token; without it, GOFARM_TOKEN has the token itself
    #[arg(long, env = "GOFARM_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// A PEM file with the certificate authority of the farm, in place of the system's
    #[arg(long, env = "GOFARM_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,

    /// What the worker is called; unique in the farm, and the same after a restart [default: the host's name and a number
    /// that stays with the cache folder]
    #[arg(long, env = "GOFARM_WORKER_NAME")]
    pub name: Option<String>,

    /// The pool that it works for
    #[arg(long, env = "GOFARM_POOL", default_value = "default")]
    pub pool: String,

    /// How many actions at once: a number, or auto for as many as the CPUs and the memory that this process is granted
    /// allow
    #[arg(long, env = "GOFARM_SLOTS", default_value = "auto", value_parser = slots, value_name = "N")]
    pub slots: SlotCount,

    /// Memory for actions [default: what is free, less 512MiB]
    #[arg(long, env = "GOFARM_MEMORY", value_parser = size, value_name = "SIZE")]
    pub memory: Option<u64>,

    /// The local cache: inputs and outputs, kept between restarts. One worker has one folder [default:
    /// $XDG_CACHE_HOME/gofarm-worker, or ~/.cache/gofarm-worker]
    #[arg(long, env = "GOFARM_CACHE_DIR", value_name = "FOLDER")]
    pub cache_dir: Option<PathBuf>,

    /// How large the local cache may become; less where the disk is smaller
    #[arg(long, env = "GOFARM_CACHE_SIZE", default_value = "50GiB", value_parser = size, value_name = "SIZE")]
    pub cache_size: u64,

    /// How long a blob of the local cache that this process has hashed is believed to have its bytes still, although nothing
    /// has written to its file. Before an action reads it after that, it is hashed again
    #[arg(long, env = "GOFARM_VERIFY_AFTER", default_value = "1h", value_parser = parse_time_span, value_name = "TIME")]
    pub verify_after: Duration,

    /// How much of the local cache is read in a second, while no action runs, to find damage; none for never
    #[arg(long, env = "GOFARM_SCRUB_RATE", default_value = "16MiB", value_parser = rate, value_name = "SIZE")]
    pub scrub_rate: u64,

    /// How long a blob is left alone by that after it was verified last
    #[arg(long, env = "GOFARM_SCRUB_AFTER", default_value = "24h", value_parser = parse_time_span, value_name = "TIME")]
    pub scrub_after: Duration,

    /// Whether actions see nothing but what they declare: where the machine allows it, always, or never
    #[arg(long, env = "GOFARM_SANDBOX", default_value = "auto", value_enum)]
    pub sandbox: SandboxChoice,

    /// A C compiler for packages with cgo, and after commas the compilers of C++ and Fortran that belong to it. Repeat for
    /// further toolchains; none says that there is none [default: gcc and g++, if they are installed]
    #[arg(long, env = "GOFARM_CC", value_name = "COMPILERS")]
    pub cc: Vec<String>,

    /// How long running actions may take after a signal to end
    #[arg(long, env = "GOFARM_DRAIN_TIMEOUT", default_value = "30s", value_parser = parse_time_span, value_name = "TIME")]
    pub drain_timeout: Duration,

    /// How log lines are written to standard error
    #[arg(long, env = "GOFARM_LOG_FORMAT", default_value = "text", value_enum)]
    pub log_format: LogFormat,
}

/// See [`Arguments::sandbox`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SandboxChoice {
    /// Where the machine allows it.
    Auto,
    /// Always.
    Required,
    /// Never.
    Off,
}

/// How many actions at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotCount {
    /// By CPUs and memory.
    Auto,
    /// So many.
    Exactly(usize),
}

fn slots(text: &str) -> Result<SlotCount, String> {
    match text {
        "auto" => Ok(SlotCount::Auto),
        _ => match text.parse() {
            Ok(number @ 1..=4096) => Ok(SlotCount::Exactly(number)),
            _ => Err("expected auto, or a number from 1 to 4096".to_owned()),
        },
    }
}

fn size(text: &str) -> Result<u64, String> {
    match parse_size(text) {
        Ok(0) => Err("it must be more than nothing".to_owned()),
        Ok(bytes) => Ok(bytes),
        Err(error) => Err(error.to_string()),
    }
}

fn rate(text: &str) -> Result<u64, String> {
    match text {
        "none" => Ok(0),
        _ => size(text).map_err(|error| format!("{error}, or none")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_slots_are_read() {
        assert_eq!(size("50GiB"), Ok(50 << 30));
        assert_eq!(size("1.5 kib"), Ok(1536));
        assert_eq!(rate("16MiB"), Ok(16 << 20));
        assert_eq!(rate("none"), Ok(0));
        assert!(rate("0").is_err());
        assert_eq!(slots("auto"), Ok(SlotCount::Auto));
        assert_eq!(slots("3"), Ok(SlotCount::Exactly(3)));
        for wrong in ["", "50", "GiB", "-1GiB", "0B", "5GX"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "0", "-1", "many"] {
            assert!(slots(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_and_times_are_those_of_all_programs() {
        let read = |given: &[&str]| {
            let start = ["gofarm-worker", "--server=http://a:1"];
            Arguments::try_parse_from([&start, given].concat())
        };
        let arguments = read(&[
            "--cache-size=1.5GiB",
            "--scrub-after=1d",
            "--drain-timeout=1h2m",
        ]);
        let arguments = arguments.unwrap();
        assert_eq!(arguments.cache_size, 3 << 29);
        assert_eq!(arguments.scrub_after, Duration::from_secs(24 * 60 * 60));
        assert_eq!(arguments.drain_timeout, Duration::from_secs(3720));
        for wrong in [
            "--drain-timeout=30",
            "--drain-timeout=s",
            "--drain-timeout=1w",
            "--memory=0B",
        ] {
            assert!(read(&[wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn servers_may_be_repeated_or_listed() {
        let read = |args: &[&str]| Arguments::try_parse_from(args).map(|read| read.server);
        let both = ["http://a:1", "http://b:2"];
        let listed = read(&["gofarm-worker", "--server", "http://a:1,http://b:2"]);
        assert_eq!(listed.unwrap(), both);
        let repeated = ["gofarm-worker", "--server", both[0], "--server", both[1]];
        assert_eq!(read(&repeated).unwrap(), both);
    }
}
