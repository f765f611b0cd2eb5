//! `-work`: the scratch folders of actions are kept, and where is told.

use anyhow::Context;
use gofarm_engine::core::BuildSummary;
use gofarm_plan::GoCommand;
use gofarm_worker::KeptWork;

use crate::say;

/// A new folder, whose name is told as `go build` tells it (`NewBuilder` in cmd/go/internal/work/action.go).
pub fn folder(go: &GoCommand) -> anyhow::Result<KeptWork> {
    let place = match go.var("GOTMPDIR") {
        unset if unset.is_empty() => std::env::temp_dir(),
        named => go.cwd.join(named),
    };
    let folder = tempfile::Builder::new()
        .prefix("gofarm-work-")
        .tempdir_in(&place)
        .with_context(|| format!("making a folder for -work in {}", place.display()))?
        .keep();
    let kept =
        KeptWork::in_folder(&folder).with_context(|| format!("opening {}", folder.display()))?;
    say::err(&format!("WORK={}\n", folder.display()));
    Ok(kept)
}

/// Says why folders may be missed in what was kept.
pub fn tell_missing(summary: &BuildSummary) {
    let cached = summary.counts.cached;
    if cached > 0 {
        say::err(&format!(
            "gofarm: WORK has the folders of actions that were executed; {cached} came from the cache, and -a executes all\n"
        ));
    }
}
