//! What a command showed, without what differs from run to run.

use regex_lite::Regex;

use super::{Finished, Site, facts};

/// Exit code, stdout and stderr of a command of this site, for a snapshot.
pub fn shown(site: &Site, finished: &Finished) -> String {
    let text = format!(
        "exit code: {}\n----- stdout -----\n{}----- stderr -----\n{}",
        finished
            .status
            .code()
            .map_or("none".to_owned(), |code| code.to_string()),
        finished.stdout,
        finished.stderr
    );
    filtered(site, text)
}

fn filtered(site: &Site, mut text: String) -> String {
    let facts = facts();
    let src = site.path("src");
    let platform = format!("{}_{}", facts.go("GOOS"), facts.go("GOARCH"));
    for (path, name) in [
        (src.to_string_lossy(), "[SRC]"),
        (site.path("").to_string_lossy(), "[SITE]/"),
        (facts.cache.to_string_lossy(), "[CACHE]"),
        (facts.go("GOROOT").into(), "[GOROOT]"),
        (facts.go("GOVERSION").into(), "[GOVERSION]"),
        (platform.into(), "[PLATFORM]"),
    ] {
        text = text.replace(&*path, name);
    }
    for (pattern, to) in [
        (r"\b[0-9a-f]{64}\b", "[DIGEST]"),
        (r"\b[0-9a-f]{32}\b", "[ID]"),
        (r"\b\d+(\.\d+)? (B|KiB|MiB|GiB|kB|MB|GB)\b", "[SIZE]"),
        (r"\b(\d+m)?\d+(\.\d+)?(s|ms|µs)\b", "[TIME]"),
        (r"\b\d+ (actions?|executed|cached|joined)\b", "[N] $1"),
        (r"\b\d+(\.\d+)?%", "[SHARE]"),
        (r"(?m) +$", ""),
    ] {
        text = Regex::new(pattern)
            .unwrap()
            .replace_all(&text, to)
            .into_owned();
    }
    text
}
