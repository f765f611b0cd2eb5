//! What `gofarm help` and `gofarm version` print.

use super::error::{Usage, UsageError};
use super::nearest::nearest;

pub(super) const OVERVIEW: &str = include_str!("help/overview.txt");
pub(super) const SUBMIT: &str = include_str!("help/submit.txt");
pub(super) const VERIFY: &str = include_str!("help/verify.txt");
pub(super) const LOGS: &str = include_str!("help/logs.txt");
pub(super) const BUILDS: &str = include_str!("help/builds.txt");
pub(super) const STATUS: &str = include_str!("help/status.txt");
pub(super) const ATTACH: &str = include_str!("help/attach.txt");
pub(super) const CANCEL: &str = include_str!("help/cancel.txt");
pub(super) const WORKERS: &str = include_str!("help/workers.txt");
const VERSION: &str = include_str!("help/version.txt");
const ENVIRONMENT: &str = include_str!("help/environment.txt");
const FARM: &str = include_str!("help/farm.txt");
const EXIT_CODES: &str = include_str!("help/exit-codes.txt");

const TOPICS: [(&str, &str); 14] = [
    ("submit", SUBMIT),
    ("build", SUBMIT),
    ("verify", VERIFY),
    ("logs", LOGS),
    ("builds", BUILDS),
    ("status", STATUS),
    ("attach", ATTACH),
    ("cancel", CANCEL),
    ("workers", WORKERS),
    ("version", VERSION),
    ("help", OVERVIEW),
    ("environment", ENVIRONMENT),
    ("exit-codes", EXIT_CODES),
    ("farm", FARM),
];

/// The text for `gofarm help` and the words behind it.
pub(super) fn of(words: &[String]) -> Result<&'static str, UsageError> {
    let Some(topic) = words.first() else {
        return Ok(OVERVIEW);
    };
    if words.len() > 1 {
        return Err(UsageError::new("usage: gofarm help [command]"));
    }
    match TOPICS.iter().find(|(name, _)| name == topic) {
        Some((_, text)) => Ok(text),
        None => {
            let meant = nearest(topic, TOPICS.map(|(name, _)| name))
                .map(|name| format!("gofarm help {name}"));
            let error = UsageError::new(format!("gofarm help {topic}: unknown help topic"));
            Err(error.suggest(meant).usage(Usage::Commands))
        }
    }
}

/// The line of `gofarm version`, in the form of `go version`, with its line end.
pub fn version() -> String {
    // Go's names for the systems and processors that gofarm is built for.
    let os = match std::env::consts::OS {
        "macos" => "darwin",
        os => os,
    };
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
        arch => arch,
    };
    format!("gofarm version {} {os}/{arch}\n", env!("CARGO_PKG_VERSION"))
}
