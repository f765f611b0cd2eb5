//! `gofarm-scheduler gc`.

use anyhow::Context;
use gofarm_store::{Amount, Collected, GRACE};
use serde::Serialize;

use super::{Progress, print};
use crate::options::Gc;

/// What `--json` writes.
#[derive(Serialize)]
struct Report {
    dry_run: bool,
    before: Counts,
    removed: Counts,
    bytes_above_bound: u64,
}

#[derive(Serialize)]
struct Counts {
    blobs: u64,
    blob_bytes: u64,
    results: u64,
    result_bytes: u64,
}

/// Removes what the bounds do not keep.
///
/// # Errors
///
/// The store cannot be used, or there is none.
pub async fn gc(asked: Gc) -> anyhow::Result<()> {
    let retention = asked.retention.checked()?;
    let store = asked.place.open_existing().await?;
    let mut progress = Progress::of("removing");
    let collected = store.collect(retention, asked.dry_run, |gone, all| {
        progress.of_all(gone, all);
        true
    });
    let collected = collected
        .await
        .context("the store was not brought within its bounds; the command may be repeated")?;
    match asked.json {
        true => print(&serde_json::to_string(&Report::of(
            &collected,
            asked.dry_run,
        ))?)?,
        false => print(&text(&collected, asked.dry_run))?,
    }
    Ok(())
}

fn text(collected: &Collected, dry_run: bool) -> String {
    let (removed, before) = (&collected.removed, &collected.before);
    let verb = if dry_run { "would remove" } else { "removed" };
    let mut text = format!(
        "{verb} {} of {} blobs and {} of {} results, {} of {} bytes",
        removed.blobs,
        before.blobs,
        removed.results,
        before.results,
        removed.bytes(),
        before.bytes(),
    );
    if collected.above_bound > 0 {
        text += &format!(
            "\n{} bytes above the bound stay: they were used within the last {} hours",
            collected.above_bound,
            GRACE.as_secs() / 3600
        );
    }
    text
}

impl Report {
    fn of(collected: &Collected, dry_run: bool) -> Report {
        let counts = |amount: &Amount| Counts {
            blobs: amount.blobs,
            blob_bytes: amount.blob_bytes,
            results: amount.results,
            result_bytes: amount.result_bytes,
        };
        Report {
            dry_run,
            before: counts(&collected.before),
            removed: counts(&collected.removed),
            bytes_above_bound: collected.above_bound,
        }
    }
}
