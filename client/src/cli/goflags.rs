//! GOFLAGS, as cmd/go reads it (cmd/go/internal/base/goflags.go).

use super::error::UsageError;
use super::flag;
use super::quoted;
use super::scan::{Given, Origin};

/// The flags in GOFLAGS that `go build` has. Others are left out: they are another command's, or unknown, and then cmd/go
/// says so itself in the dry run.
///
/// gofarm's own flags are not read from GOFLAGS: `-timeout` there is meant for `go test`.
pub(super) fn read(goflags: &str) -> Result<Vec<Given>, UsageError> {
    let words = quoted::split(goflags)
        .map_err(|why| UsageError::failed(format!("go: parsing $GOFLAGS: {why}")))?;
    let mut given = Vec::new();
    for word in &words {
        let text = word
            .strip_prefix("--")
            .or_else(|| word.strip_prefix('-'))
            .unwrap_or("");
        if text.is_empty() || text.starts_with(['-', '=']) {
            return Err(UsageError::failed(format!(
                "go: parsing $GOFLAGS: non-flag {word:?}"
            )));
        }
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let Some(flag) = flag::find(name).filter(|flag| !flag.is_own()) else {
            continue;
        };
        let value = match value {
            Some(value) => value,
            None if flag.value.is_bool() => "true",
            None => {
                return Err(refused(format!(
                    "flag needs an argument: -{name} (from $GOFLAGS)"
                )));
            }
        };
        let kind = if flag.value.is_bool() {
            "boolean value"
        } else {
            "value"
        };
        let value = flag.value.check(value).map_err(|why| {
            refused(format!(
                "invalid {kind} {value:?} for flag -{name} (from $GOFLAGS): {why}"
            ))
        })?;
        given.push(Given {
            flag,
            value,
            origin: Origin::Goflags,
        });
    }
    Ok(given)
}

/// As cmd/go says it, and with the exit code of a wrong command line.
fn refused(message: String) -> UsageError {
    UsageError::new(format!(
        "go: {message}\nusage: go build [-o output] [build flags] [packages]\nRun 'go help build' for details."
    ))
}
