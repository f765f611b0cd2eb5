//! `gofarm-scheduler fsck`.

use anyhow::Context;
use gofarm_store::{Examined, Fault};
use serde::Serialize;

use super::{Progress, print};
use crate::options::Fsck;

/// What `--json` writes.
#[derive(Serialize)]
struct Report {
    repaired: bool,
    blobs: u64,
    blob_bytes: u64,
    results: u64,
    unreferenced_blobs: u64,
    unreferenced_bytes: u64,
    wrong_blobs: Vec<String>,
    wrong_results: Vec<String>,
    results_without_blobs: Vec<Incomplete>,
}

#[derive(Serialize)]
struct Incomplete {
    key: String,
    missing: Vec<String>,
}

/// Looks at everything, and says whether all is well.
///
/// # Errors
///
/// The store cannot be used, or there is none.
pub async fn fsck(asked: Fsck) -> anyhow::Result<bool> {
    let store = asked.place.open_existing().await?;
    let mut progress = Progress::of("looking at blobs and results");
    let examined = store.examine(asked.repair, |done| progress.of_all(done.into(), 512));
    let examined = examined
        .await
        .context("the store was not looked at wholly; the command may be repeated")?;
    if asked.json {
        print(&serde_json::to_string(&Report::of(
            &examined,
            asked.repair,
        ))?)?;
    } else {
        for fault in &examined.faults {
            print(&line(fault))?;
        }
    }
    let Examined {
        blobs,
        blob_bytes,
        results,
        unreferenced,
        unreferenced_bytes,
        ..
    } = examined;
    eprintln!(
        "looked at {blobs} blobs ({blob_bytes} bytes) and {results} results; no result names {unreferenced} blobs ({unreferenced_bytes} bytes)"
    );
    let faults = examined.faults.len();
    if faults > 0 {
        match asked.repair {
            true => eprintln!(
                "{faults} faults: set aside or taken back, and made again by the next build"
            ),
            false => eprintln!(
                "{faults} faults; --repair sets aside what is wrong and takes back results without their blobs"
            ),
        }
    }
    Ok(faults == 0)
}

fn line(fault: &Fault) -> String {
    match fault {
        Fault::WrongBlob(hash) => format!("wrong blob {}", hex::encode(hash)),
        Fault::WrongResult(key) => format!("wrong result {key}"),
        Fault::MissingBlobs(key, blobs) => {
            let blobs: Vec<String> = blobs.iter().map(ToString::to_string).collect();
            format!("result {key} lacks {}", blobs.join(" "))
        }
    }
}

impl Report {
    fn of(examined: &Examined, repaired: bool) -> Report {
        let mut report = Report {
            repaired,
            blobs: examined.blobs,
            blob_bytes: examined.blob_bytes,
            results: examined.results,
            unreferenced_blobs: examined.unreferenced,
            unreferenced_bytes: examined.unreferenced_bytes,
            wrong_blobs: Vec::new(),
            wrong_results: Vec::new(),
            results_without_blobs: Vec::new(),
        };
        for fault in &examined.faults {
            match fault {
                Fault::WrongBlob(hash) => report.wrong_blobs.push(hex::encode(hash)),
                Fault::WrongResult(key) => report.wrong_results.push(key.to_string()),
                Fault::MissingBlobs(key, blobs) => report.results_without_blobs.push(Incomplete {
                    key: key.to_string(),
                    missing: blobs.iter().map(ToString::to_string).collect(),
                }),
            }
        }
        report
    }
}
