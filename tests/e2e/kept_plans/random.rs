//! Random changes: some that are the same in every run, and some that are not.

use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use gofarm_specimens::{Case, Specimen, specimens};

use super::mutator;

/// Seeds from 1 on that are always tried, each for several changes.
const FIXED: u64 = 4;
/// How many changes are tried in all.
const ENOUGH: usize = 60;
/// On a slow machine not all of them.
const TIME: Duration = Duration::from_secs(40);

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
    let (tried, wrong) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let is_over = |tried: usize| tried >= ENOUGH || begun.elapsed() > TIME;
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let turn = turn.fetch_add(1, Ordering::Relaxed);
                    let is_fixed = turn < FIXED;
                    let seed = if is_fixed { turn + 1 } else { start + turn };
                    if !is_fixed && is_over(tried.lock().unwrap().len()) {
                        break;
                    }
                    let case = Case::of(seed, &among).unwrap();
                    let name = case.to_string();
                    let ran = mutator.run(case, &mut |verdict| {
                        let mut tried = tried.lock().unwrap();
                        tried.push(seed);
                        for difference in &verdict.differences {
                            let text = format!("{name}: {verdict}\n    {difference}");
                            wrong.lock().unwrap().push(text);
                        }
                        match !is_fixed && is_over(tried.len()) {
                            true => ControlFlow::Break(()),
                            false => ControlFlow::Continue(()),
                        }
                    });
                    match ran {
                        Err(error) if error.kind() == ErrorKind::Unsupported => {
                            println!("not tested: {name}: {error}");
                        }
                        ran => ran.unwrap_or_else(|error| panic!("{name}: {error}")),
                    }
                }
            });
        }
    });
    let (tried, wrong) = (tried.into_inner().unwrap(), wrong.into_inner().unwrap());
    println!(
        "{} changes of seeds 1 to {FIXED} and from {} on, in {:?}",
        tried.len(),
        start + FIXED,
        begun.elapsed()
    );
    assert!(
        wrong.is_empty(),
        "{}\nagain: cargo run -p gofarm-freshness -- mutate --seed N",
        wrong.join("\n")
    );
}
