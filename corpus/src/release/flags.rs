//! The flags of `go build` as its help text has them.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::bail;
use gofarm_bench::process::Process;

use crate::go_command::Release;

/// Flags of `go help build` that gofarm does not know.
pub fn unknown(release: &Release) -> anyhow::Result<BTreeSet<String>> {
    let mut ask = Process::new(&release.go, Path::new(".")).args(["help", "build"]);
    ask.env.push(("GOTOOLCHAIN".into(), Some("local".into())));
    let mut flags = listed(&ask.run()?.stdout);
    // -o stands in the text alone. That so few are found is no release but a text of another shape.
    if flags.len() < 20 {
        bail!(
            "go help build of {} lists no flags as it used to",
            release.version
        );
    }
    for known in gofarm_client::cli::go_flags() {
        flags.remove(known);
    }
    Ok(flags)
}

/// A flag stands behind one tab at the beginning of a line, before what it takes.
fn listed(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter_map(|line| line.strip_prefix("\t-"))
        .filter_map(|line| line.split([' ', '=', ',']).next())
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_from_the_help_text() {
        let text = "usage: go build [-o output]\n\n\t-C dir\n\t\tChange to dir, -x too.\n\t-tags tag,list\n\t-a\n";
        assert_eq!(Vec::from_iter(listed(text)), ["C", "a", "tags"]);
    }
}
