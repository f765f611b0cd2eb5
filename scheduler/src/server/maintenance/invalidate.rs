//! `gofarm-scheduler invalidate`.

use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context;
use gofarm_daemon::Misuse;
use gofarm_store::{NOTICED_WITHIN, TakenBackReport, TakenBackResult};
use serde::Serialize;

use super::{Progress, print};
use crate::server::options::Invalidate;

/// What `--json` writes.
#[derive(Serialize)]
struct Report {
    dry_run: bool,
    looked_at: u64,
    maker_unknown: u64,
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
    summarize(&taken, &asked);
    Ok(())
}

fn summarize(taken: &TakenBackReport, asked: &Invalidate) {
    let count = match taken.results.len() {
        1 => "1 result".to_owned(),
        count => format!("{count} results"),
    };
    if asked.dry_run {
        eprintln!("would take back {count}");
    } else {
        eprintln!(
            "took back {count}; all schedulers know within {} s, and the next build makes them again",
            NOTICED_WITHIN.as_secs()
        );
    }
    if asked.worker.is_some() && taken.unknown > 0 {
        eprintln!(
            "{} results do not say who made them, because an earlier version recorded them; take them back by their keys",
            taken.unknown
        );
    }
}

/// Key, worker, lease and time.
fn line(result: &TakenBackResult) -> String {
    let Some(made) = &result.made else {
        return result.key.to_string();
    };
    let lease = made.lease.as_ref();
    let lease = lease.map(|lease| format!(" {}.{}", lease.incarnation, lease.counter));
    let accepted = UNIX_EPOCH + Duration::from_millis(made.accepted_ms);
    format!(
        "{} {}{} {}",
        result.key,
        made.worker,
        lease.unwrap_or_default(),
        humantime::format_rfc3339_millis(accepted)
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
            results: results.collect(),
        }
    }
}
