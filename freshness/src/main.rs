//! The audit and the mutation test by hand.

mod mutate;
mod options;

use std::process::ExitCode;

use anyhow::{Context, bail};
use gofarm_bench::{command_line, process};
use gofarm_freshness::audit;
use gofarm_specimens::specimens;
use options::{Audit, Task};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some((first, rest)) = args.split_first()
        && first == audit::PLAN_ALONE
    {
        return ExitCode::from(audit::plan_alone(rest));
    }
    command_line::main(
        "gofarm-freshness",
        options::HELP,
        options::parse(args),
        |task| match task {
            Task::Audit(options) => audit(options),
            Task::Mutate(options) => mutate::mutate(options),
        },
    )
}

/// The table of what no fact covers; with `--all` all paths, and why they need no fact.
fn audit(options: &Audit) -> anyhow::Result<bool> {
    let own = std::env::current_exe().context("finding this program's own file")?;
    let dir = tempfile::tempdir().context("making a temporary folder")?;
    let gocache = dir.path().join("gocache");
    let mut found = 0;
    if let Some(unknown) = options.unknown(specimens().iter().map(|specimen| specimen.name)) {
        bail!("no specimen is called {unknown}");
    }
    for specimen in specimens() {
        process::check_stopped()?;
        if !options.names.is_empty() && !options.names.iter().any(|name| *name == specimen.name) {
            continue;
        }
        let audited = audit::audit(&specimen, dir.path(), &own, &gocache)
            .with_context(|| specimen.name.to_owned())?;
        if options.all {
            print!("{}", audited.listing());
        }
        println!(
            "{:40} {} questions",
            specimen.name,
            audited.planning.asked.len()
        );
        if let Some(reason) = &audited.not_kept {
            println!(
                "{:40} not kept: {}",
                specimen.name,
                reason.lines().next().unwrap_or_default()
            );
        }
        for uncovered in &audited.uncovered {
            println!("{uncovered}");
        }
        found += audited.uncovered.len();
    }
    println!("{found} uncovered");
    Ok(found == 0)
}
