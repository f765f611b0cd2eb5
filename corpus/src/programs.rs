//! All programs of the list, release by release.

use std::fs;

use anyhow::Context;
use gofarm_bench::process;

use crate::compare::{Outcome, Sides, Verdict};
use crate::options::Options;
use crate::table;

/// Builds what the options name and tells what came of it; whether all programs were identical.
///
/// # Errors
/// There is no go or gofarm command, the temporary folder cannot be made, or the user has interrupted.
pub fn build(options: &Options) -> anyhow::Result<bool> {
    let programs = options.programs()?;
    let gofarm = options.gofarm()?;
    let releases = options.releases()?;
    let folder = options.temporary_folder()?;
    let mut outcomes = Vec::new();
    for (number, release) in releases.iter().enumerate() {
        let root = folder.path().join(number.to_string());
        let caches = root.join("caches");
        fs::create_dir_all(caches.join("tmp"))
            .with_context(|| format!("making {}", caches.display()))?;
        for (index, program) in programs.iter().enumerate() {
            let sides = Sides {
                release,
                gofarm: &gofarm,
                caches: &caches,
                gofarm_first: index % 2 == 1,
            };
            let place = root.join(&program.name);
            let outcome = sides.compare(program, &place);
            process::check_stopped()?;
            tell(&outcome, options.json)?;
            outcomes.push(outcome);
            fs::remove_dir_all(&place).with_context(|| format!("removing {}", place.display()))?;
        }
        // Each release has caches of its own, of some gigabytes.
        fs::remove_dir_all(&root).with_context(|| format!("removing {}", root.display()))?;
    }
    if !options.json {
        print!("{}", table::of(&outcomes));
    }
    Ok(outcomes
        .iter()
        .all(|outcome| outcome.verdict == Verdict::Identical))
}

/// As soon as it is known: the whole takes an hour.
fn tell(outcome: &Outcome, json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string(outcome).context("encoding")?);
    } else {
        let (go, program) = (&outcome.go, &outcome.program);
        eprintln!("{go} {program}: {}", outcome.verdict.text());
        if let Some(detail) = &outcome.detail {
            eprintln!("    {}", detail.replace('\n', "\n    "));
        }
    }
    Ok(())
}
