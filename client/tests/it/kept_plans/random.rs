//! Random changes: some that are the same in every run, and some that are not.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use gofarm_specimens::{Case, Specimen, specimens};

use super::mutator;

/// Seeds from 1 on that are always tried.
const FIXED: u64 = 12;
/// How long other seeds are tried behind those.
const TIME: Duration = Duration::from_secs(60);

#[test]
fn random_changes_build_what_go_builds() {
    let mutator = mutator();
    let among: Vec<Specimen> = specimens()
        .into_iter()
        .filter(|specimen| !specimen.slow)
        .collect();
    let begun = Instant::now();
    let start = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_millis() as u64;
    let turn = AtomicU64::new(0);
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let turn = turn.fetch_add(1, Ordering::Relaxed);
                    let seed = if turn < FIXED {
                        turn + 1
                    } else if begun.elapsed() < TIME {
                        start + turn
                    } else {
                        break;
                    };
                    let case = Case::of(seed, &among).unwrap();
                    let name = case.to_string();
                    let verdict = mutator.run(case).unwrap();
                    for difference in &verdict.differences {
                        wrong
                            .lock()
                            .unwrap()
                            .push(format!("{name}: {}\n    {difference}", verdict.change));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(
        wrong.is_empty(),
        "{}\nagain: cargo run -p gofarm-freshness -- mutate --seed N",
        wrong.join("\n")
    );
}
