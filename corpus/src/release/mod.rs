//! A Go release that gofarm has not seen: what it has that gofarm does not know.

mod flags;
mod report;
mod requests;

use std::path::Path;

use anyhow::Context;
use gofarm_bench::process;
use gofarm_plan::GoCommand;
use gofarm_plan::survey::{survey, unknown_of_tools, unknown_variables};

use crate::go_command::Release;
use crate::options::Options;
use report::Report;
use requests::Trial;

/// Tries every go command that the options name and tells what is unknown; whether nothing was.
///
/// # Errors
/// There is no such go command, the temporary folder cannot be made, or the user has interrupted.
pub fn try_releases(options: &Options) -> anyhow::Result<bool> {
    let releases = options.releases()?;
    let folder = options.temporary_folder()?;
    let mut known = true;
    for (number, release) in releases.iter().enumerate() {
        let report = try_release(options, release, &folder.path().join(number.to_string()))?;
        known &= report.is_known();
        if options.json {
            println!("{}", serde_json::to_string(&report).context("encoding")?);
        } else {
            print!("{report}");
        }
    }
    Ok(known)
}

/// What there is to try, by name.
pub fn names() -> Vec<String> {
    requests::all().map(|trial| trial.name()).collect()
}

fn try_release(options: &Options, release: &Release, root: &Path) -> anyhow::Result<Report> {
    let mut report = Report::new(&release.version);
    for flag in flags::unknown(release)? {
        report.note("flag of go build", flag, "go help build");
    }
    let go = GoCommand {
        program: release.go.clone(),
        ..GoCommand::new(std::env::current_dir().context("finding the working folder")?)
    };
    for name in unknown_variables(&go)? {
        report.note("variable of go env", name, "go env");
    }
    for unknown in unknown_of_tools(&go)? {
        report.unknown(unknown, "the tools and their source");
    }
    for trial in requests::all() {
        if !options.picks(&trial.name()) {
            continue;
        }
        process::check_stopped()?;
        attempt(&trial, release, root, &mut report)?;
    }
    Ok(report)
}

fn attempt(
    trial: &Trial,
    release: &Release,
    root: &Path,
    report: &mut Report,
) -> anyhow::Result<()> {
    let name = trial.name();
    let folder = root.join(&name);
    let (go, request) = match trial.prepare(release, &folder) {
        Ok(prepared) => prepared,
        Err(error) => {
            report.refused(&name, format!("{error:#}"));
            return Ok(());
        }
    };
    match survey(&go, &request) {
        Ok(survey) => report.add(&name, survey),
        Err(error) => report.refused(&name, error.to_string()),
    }
    gofarm_specimens::remove(&folder).with_context(|| format!("removing {}", folder.display()))
}
