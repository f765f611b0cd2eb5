//! `gofarm-scheduler invalidate`.

use anyhow::Context;
use gofarm_daemon::Misuse;
use gofarm_store::{NOTICED_WITHIN, TakenBackReport, TakenBackResult};
use gofarm_timing::from_ms;
use serde::Serialize;

use super::{Progress, print};
use crate::options::Invalidate;

/// Workers that are named where the one that was asked for is not there.
const NAMES: usize = 8;

/// What `--json` writes.
#[derive(Serialize)]
struct Report {
    dry_run: bool,
    looked_at: u64,
    maker_unknown: u64,
    /// All workers that made what was looked at.
    makers: Vec<String>,
    results: Vec<Taken>,
}

#[derive(Serialize)]
struct Taken {
    key: String,
    worker: Option<String>,
    /// Incarnation and counter.
    lease: Option<String>,
    accepted_ms: Option<u64>,
    replica: Option<String>,
    outputs: Vec<String>,
}

/// Takes back what was asked for.
///
/// # Errors
///
/// The store cannot be used, or there is none.
pub async fn invalidate(asked: Invalidate) -> anyhow::Result<()> {
    let what = asked
        .what()
        .ok_or_else(|| Misuse::new(anyhow::anyhow!("name a key, or a worker and a time")))?;
    let store = asked.place.open_existing().await?;
    let mut progress = Progress::of("looking at results");
    let taken = store.take_back(&what, asked.dry_run, |done| progress.parts(done));
    let taken = taken.await.context(
        "results could not be taken back, or not all of them; the command may be repeated",
    )?;
    match asked.json {
        true => print(&serde_json::to_string(&Report::of(&taken, asked.dry_run))?)?,
        false => {
            for result in &taken.results {
                print(&line(result))?;
            }
        }
    }
    eprintln!("{}", summary(&taken, &asked));
    Ok(())
}

/// What became of it, in lines.
fn summary(taken: &TakenBackReport, asked: &Invalidate) -> String {
    let count = match taken.results.len() {
        1 => "1 result".to_owned(),
        count => format!("{count} results"),
    };
    let mut text = if taken.results.is_empty() {
        format!("nothing to take back: {}", nothing(taken, asked))
    } else if asked.dry_run {
        format!("would take back {count}")
    } else {
        format!(
            "took back {count}; all schedulers know within {} s, and the next build makes them again",
            NOTICED_WITHIN.as_secs()
        )
    };
    if asked.worker.is_some() && taken.unknown > 0 {
        text += &format!(
            "\n{} results do not say who made them, because an earlier version recorded them; take them back by their keys",
            taken.unknown
        );
    }
    text
}

/// What was not found, and what there is instead.
fn nothing(taken: &TakenBackReport, asked: &Invalidate) -> String {
    let Some(worker) = &asked.worker else {
        return "the store has no result of this key".to_owned();
    };
    if let Some(latest) = taken.makers.get(worker) {
        return format!(
            "worker {worker:?} made no result since then; its latest one is of {}",
            humantime::format_rfc3339_millis(from_ms(*latest))
        );
    }
    let text = format!("no result in the store was made by worker {worker:?}");
    if taken.makers.is_empty() {
        return format!("{text}, nor by any other that is known");
    }
    // Names are what workers call themselves: quoted, a terminal obeys nothing in them.
    let names: Vec<String> = taken
        .makers
        .keys()
        .map(|name| format!("{name:?}"))
        .collect();
    let (shown, more) = names.split_at(names.len().min(NAMES));
    let more = match more.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{text}; there are results of {}{more}", shown.join(", "))
}

/// Key, worker, lease and time.
fn line(result: &TakenBackResult) -> String {
    let Some(made) = &result.made else {
        return result.key.to_string();
    };
    let lease = made.lease.as_ref();
    let lease = lease.map(|lease| format!(" {}.{}", lease.incarnation, lease.counter));
    format!(
        "{} {}{} {}",
        result.key,
        made.worker,
        lease.unwrap_or_default(),
        humantime::format_rfc3339_millis(from_ms(made.accepted_ms))
    )
}

impl Report {
    fn of(taken: &TakenBackReport, dry_run: bool) -> Report {
        let results = taken.results.iter().map(|result| {
            let made = result.made.as_ref();
            let lease = made.and_then(|made| made.lease.as_ref());
            Taken {
                key: result.key.to_string(),
                worker: made.map(|made| made.worker.clone()),
                lease: lease.map(|lease| format!("{}.{}", lease.incarnation, lease.counter)),
                accepted_ms: made.map(|made| made.accepted_ms),
                replica: made.map(|made| made.replica.clone()),
                outputs: result.outputs.iter().map(ToString::to_string).collect(),
            }
        });
        Report {
            dry_run,
            looked_at: taken.looked_at,
            maker_unknown: taken.unknown,
            makers: taken.makers.keys().cloned().collect(),
            results: results.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use gofarm_proto::ActionKey;

    use super::*;
    use crate::options::{Command, CommandLine};

    fn said(makers: &[(&str, u64)], results: usize, args: &[&str]) -> String {
        let line = [&["gofarm-scheduler", "invalidate"], args].concat();
        let Some(Command::Invalidate(asked)) = CommandLine::try_parse_from(line).unwrap().command
        else {
            panic!("another command");
        };
        let result = TakenBackResult {
            key: ActionKey([0; 32]),
            outputs: Vec::new(),
            made: None,
        };
        let makers = makers
            .iter()
            .map(|(name, latest)| ((*name).to_owned(), *latest));
        let taken = TakenBackReport {
            results: vec![result; results],
            makers: makers.collect(),
            ..TakenBackReport::default()
        };
        summary(&taken, &asked)
    }

    #[test]
    fn what_was_not_found_is_said_with_what_there_is() {
        let by_worker = ["--worker=build-7", "--since=2026-01-01T00:00:00Z"];
        assert_eq!(
            said(&[("build-1", 1), ("build\x1b[2J", 1)], 0, &by_worker),
            "nothing to take back: no result in the store was made by worker \"build-7\"; there are results of \"build\\u{1b}[2J\", \
             \"build-1\""
        );
        let many: Vec<String> = (0..20).map(|number| format!("w{number:02}")).collect();
        let many: Vec<(&str, u64)> = many.iter().map(|name| (name.as_str(), 1)).collect();
        let told = said(&many, 0, &by_worker);
        assert!(told.ends_with("\"w07\" and 12 more"), "{told}");
        assert!(said(&[], 0, &by_worker).ends_with("\"build-7\", nor by any other that is known"));
        assert_eq!(
            said(&[("build-7", 1_700_000_000_000)], 0, &by_worker),
            "nothing to take back: worker \"build-7\" made no result since then; its latest one is of 2023-11-14T22:13:20.000Z"
        );
        assert_eq!(
            said(&[], 0, &[&"00".repeat(32)]),
            "nothing to take back: the store has no result of this key"
        );
        let dry = [&by_worker[..], &["--dry-run"]].concat();
        assert_eq!(
            said(&[("build-7", 1)], 2, &dry),
            "would take back 2 results"
        );
        assert!(said(&[("build-7", 1)], 1, &by_worker).starts_with("took back 1 result; all "));
    }

    #[test]
    fn a_time_to_come_is_a_wrong_input() {
        let line = [
            "gofarm-scheduler",
            "invalidate",
            "--worker=w",
            "--since=2999-01-01T00:00:00Z",
        ];
        let refused = CommandLine::try_parse_from(line).unwrap_err();
        assert_eq!(refused.exit_code(), 2);
        assert!(refused.to_string().contains("still to come"), "{refused}");
    }
}
