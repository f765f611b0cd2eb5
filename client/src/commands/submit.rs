//! `gofarm submit`: from the command line to programs.

use std::time::Instant;

use super::opening::{Opened, open};
use crate::cli::{Environment, ExitCode, SubmitRequest};
use crate::deliver::Programs;
use crate::report::{Outcome, Summary};
use crate::say;

/// The `submit` command.
pub fn command(request: &SubmitRequest, environment: &Environment) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let opened = open(request, environment)?;
    if opened.options.dry_run {
        return show_plan(&opened, started);
    }
    let Opened {
        options,
        request,
        session,
    } = &opened;
    let mut programs = Programs::below(&session.go.cwd, session.records());
    match options.detach {
        true => session.leave(request, &mut programs, started),
        false => session.build(request, &mut programs, started),
    }
}

/// -n: the commands, with virtual paths, and what each action reads.
fn show_plan(opened: &Opened, started: Instant) -> anyhow::Result<ExitCode> {
    let planned = opened.session.plan(&opened.request, started)?;
    if let Some(path) = &opened.options.summary_json {
        let planning = planned.planning;
        let summary = Summary {
            plan_reused: planning.reused,
            ..Summary::without_actions(planned.id, Outcome::Succeeded, planning.time, planning.time)
        };
        summary.write(path)?;
    }
    for note in &planned.plan.notes {
        say::err(&format!("{note}\n"));
    }
    say::err(&planned.plan.script());
    Ok(ExitCode::Success)
}
