//! `gofarm builds`, `gofarm status`, `gofarm cancel`.

use std::time::{Duration, SystemTime};

use gofarm_amount::TimeSpan;
use gofarm_engine::convert::state_word;
use gofarm_proto::v1;
use gofarm_timing::{from_ms, to_ms};
use serde::Serialize;

use super::asking::{Asking, KNOWN, ago, table};
use crate::cli::ExitCode;
use crate::report::rfc3339;
use crate::say;

/// Digits of an id that people are shown: enough to tell apart all builds of a day.
const SHOWN_DIGITS: usize = 12;
/// Builds that a list for people has.
const LISTED: u32 = 100;

impl Asking {
    pub(super) fn builds(&self, open: bool) -> anyhow::Result<ExitCode> {
        let limit = if self.json { KNOWN } else { LISTED };
        let builds = self.list(open, limit)?;
        if self.json {
            let told: Vec<Told> = builds.iter().map(Told::of).collect();
            say::json(&told)?;
        } else {
            say::out(&listed(&builds, SystemTime::now()))?;
        }
        Ok(ExitCode::Success)
    }

    pub(super) fn status(&self, id: &str) -> anyhow::Result<ExitCode> {
        let build = self.find(id)?;
        if self.json {
            say::json(&Told::of(&build))?;
        } else {
            say::out(&described(&build, SystemTime::now()))?;
        }
        Ok(ExitCode::Success)
    }

    pub(super) fn cancel(&self, id: &str) -> anyhow::Result<ExitCode> {
        let build = self.find(id)?;
        let was_over = build.finished_ms > 0;
        self.ask("cancel a build", || {
            let (mut client, build) = (self.connection.builds(), build.build.clone());
            async move { client.cancel(v1::CancelRequest { build }).await }
        })?;
        if self.json {
            say::json(&serde_json::json!({
                "build_id": build.build,
                "cancelled": !was_over,
            }))?;
        } else if was_over {
            say::out(&format!(
                "{} was over: {}\n",
                build.build,
                state_word(&build)
            ))?;
        } else {
            say::out(&format!("{} is cancelled\n", build.build))?;
        }
        Ok(ExitCode::Success)
    }
}

/// A build, for programs. Fields may be added; those that are here keep their names and their meaning.
#[derive(Serialize)]
struct Told<'a> {
    build_id: &'a str,
    /// `open`, `succeeded`, `failed` or `cancelled`.
    state: &'static str,
    title: &'a str,
    user: &'a str,
    pool: &'a str,
    submitted: String,
    finished: Option<String>,
    /// Actions that are running.
    running: u32,
    actions: v1::Counts,
    owner: &'a str,
}

impl<'a> Told<'a> {
    fn of(build: &'a v1::Build) -> Told<'a> {
        let options = build.options.as_ref();
        Told {
            build_id: &build.build,
            state: state_word(build),
            title: options.map_or("", |options| &options.title),
            user: options.map_or("", |options| &options.user),
            pool: pool(build),
            submitted: rfc3339(from_ms(build.submitted_ms)),
            finished: (build.finished_ms > 0).then(|| rfc3339(from_ms(build.finished_ms))),
            running: build.running,
            actions: build.counts.unwrap_or_default(),
            owner: &build.owner,
        }
    }
}

fn pool(build: &v1::Build) -> &str {
    let pool = build.options.as_ref().map_or("", |options| &options.pool);
    if pool.is_empty() { "default" } else { pool }
}

fn done(counts: &v1::Counts) -> u32 {
    counts.executed
        + counts.cached
        + counts.joined
        + counts.failed
        + counts.skipped
        + counts.cancelled
}

/// How long it took, or takes by now.
fn took(build: &v1::Build, now: SystemTime) -> TimeSpan {
    let end = match build.finished_ms {
        0 => to_ms(now),
        finished => finished,
    };
    TimeSpan(Duration::from_millis(
        end.saturating_sub(build.submitted_ms),
    ))
}

fn listed(builds: &[v1::Build], now: SystemTime) -> String {
    if builds.is_empty() {
        return "no builds\n".to_owned();
    }
    let header = [
        "BUILD",
        "STATE",
        "ACTIONS",
        "SUBMITTED",
        "TIME",
        "USER",
        "WHAT",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for build in builds {
        let options = build.options.clone().unwrap_or_default();
        let counts = build.counts.unwrap_or_default();
        rows.push(vec![
            build.build.chars().take(SHOWN_DIGITS).collect(),
            state_word(build).to_owned(),
            format!("{}/{}", done(&counts), counts.total),
            ago(from_ms(build.submitted_ms), now),
            took(build, now).to_string(),
            options.user,
            options.title,
        ]);
    }
    table(&rows)
}

fn described(build: &v1::Build, now: SystemTime) -> String {
    let options = build.options.clone().unwrap_or_default();
    let counts = build.counts.unwrap_or_default();
    let mut actions = format!("{} of {} done", done(&counts), counts.total);
    for (number, word) in [
        (build.running, "running"),
        (counts.executed, "executed"),
        (counts.cached, "cached"),
        (counts.joined, "joined"),
        (counts.failed, "failed"),
        (counts.skipped, "skipped"),
        (counts.cancelled, "cancelled"),
    ] {
        if number > 0 {
            actions.push_str(&format!(", {number} {word}"));
        }
    }
    let submitted = from_ms(build.submitted_ms);
    let mut rows = vec![
        ("build", build.build.clone()),
        ("what", options.title),
        ("user", options.user),
        ("pool", pool(build).to_owned()),
        ("state", state_word(build).to_owned()),
        ("actions", actions),
        (
            "submitted",
            format!("{} ({})", rfc3339(submitted), ago(submitted, now)),
        ),
        ("time", took(build, now).to_string()),
        ("owner", build.owner.clone()),
    ];
    rows.retain(|(_, value)| !value.is_empty());
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|(name, value)| vec![name.to_owned(), value])
        .collect();
    table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build() -> v1::Build {
        v1::Build {
            build: "5b0d6c3e2f1a4d7f9c8b7a6958473625".into(),
            options: Some(v1::BuildOptions {
                user: "ann".into(),
                title: "./cmd/... in laptop:/src".into(),
                ..v1::BuildOptions::default()
            }),
            submitted_ms: 1_772_323_200_007,
            counts: Some(v1::Counts {
                total: 565,
                executed: 4,
                cached: 110,
                ..v1::Counts::default()
            }),
            running: 3,
            owner: "scheduler-1".into(),
            ..v1::Build::default()
        }
    }

    #[test]
    fn builds_are_listed() {
        let now = from_ms(1_772_323_200_007 + 125_000);
        let mut over = build();
        over.finished_ms = over.submitted_ms + 2_310;
        over.set_result(v1::BuildResult::Failed);
        assert_eq!(
            listed(&[build(), over], now),
            "BUILD         STATE   ACTIONS  SUBMITTED  TIME   USER  WHAT\n\
             5b0d6c3e2f1a  open    114/565  2m05s ago  2m05s  ann   ./cmd/... in laptop:/src\n\
             5b0d6c3e2f1a  failed  114/565  2m05s ago  2.31s  ann   ./cmd/... in laptop:/src\n"
        );
        assert_eq!(listed(&[], now), "no builds\n");
    }

    #[test]
    fn a_build_is_described() {
        let now = from_ms(1_772_323_200_007 + 125_000);
        assert_eq!(
            described(&build(), now),
            "build      5b0d6c3e2f1a4d7f9c8b7a6958473625\n\
             what       ./cmd/... in laptop:/src\n\
             user       ann\n\
             pool       default\n\
             state      open\n\
             actions    114 of 565 done, 3 running, 4 executed, 110 cached\n\
             submitted  2026-03-01T00:00:00.007Z (2m05s ago)\n\
             time       2m05s\n\
             owner      scheduler-1\n"
        );
    }

    #[test]
    fn the_json_has_exactly_the_documented_fields() {
        let expected = serde_json::json!({
            "build_id": "5b0d6c3e2f1a4d7f9c8b7a6958473625",
            "state": "open",
            "title": "./cmd/... in laptop:/src",
            "user": "ann",
            "pool": "default",
            "submitted": "2026-03-01T00:00:00.007Z",
            "finished": null,
            "running": 3,
            "actions": {"total": 565, "executed": 4, "cached": 110, "joined": 0, "failed": 0, "skipped": 0, "cancelled": 0},
            "owner": "scheduler-1",
        });
        assert_eq!(serde_json::to_value(Told::of(&build())).unwrap(), expected);
    }
}
