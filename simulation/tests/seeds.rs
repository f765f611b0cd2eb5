//! Twenty thousand random farms, and farms with mistakes that must be found.
//!
//! A failing seed is printed with the command that replays it. `GOFARM_SIM_SEED=n` runs one seed and prints what
//! happens; `GOFARM_SIM_SEEDS=n` runs so many from `GOFARM_SIM_FIRST` on (1 by default).
#![allow(clippy::unwrap_used, reason = "test code")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use gofarm_simulation::Flaw;
use gofarm_simulation::farm::{Report, Run, run};

const SEEDS: u64 = 20_000;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}={text} is not a number")),
    )
}

/// What is wrong with a seed; None if nothing.
fn wrong(seed: u64, flaw: Option<Flaw>, sum: &Mutex<Report>) -> Option<String> {
    let run_seed = Run {
        seed,
        traced: false,
        flaw,
    };
    match catch_unwind(AssertUnwindSafe(|| run(run_seed).0)) {
        Ok(Ok(report)) => {
            sum.lock().unwrap().add(&report);
            None
        }
        Ok(Err(violation)) => Some(format!("at {} ms: {}", violation.time, violation.what)),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
            Some(format!("panic: {}", text.unwrap_or_default()))
        }
    }
}

#[test]
fn twenty_thousand_random_farms_keep_every_promise() {
    if let Some(seed) = number("GOFARM_SIM_SEED") {
        return replay(seed);
    }
    let first = number("GOFARM_SIM_FIRST").unwrap_or(1);
    let end = first + number("GOFARM_SIM_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(first);
    let failures = Mutex::new(Vec::new());
    let sum = Mutex::new(Report::default());
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end || failures.lock().unwrap().len() >= 20 {
                        return;
                    }
                    if let Some(what) = wrong(seed, None, &sum) {
                        failures.lock().unwrap().push((seed, what));
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    let lines = failures.iter().map(|(seed, what)| {
        format!("seed {seed} {what}\n    GOFARM_SIM_SEED={seed} cargo test -p gofarm-simulation --test seeds -- --nocapture\n")
    });
    let text: String = lines.collect();
    assert!(
        failures.is_empty(),
        "{} seeds fail:\n{text}",
        failures.len()
    );

    // The weather was bad enough to mean something.
    let sum = sum.into_inner().unwrap();
    println!("{sum:?}");
    let farms = end - first;
    assert!(sum.builds as u64 > 2 * farms, "{sum:?}");
    if farms >= 1_000 {
        assert!(sum.fenced > farms && sum.takeovers > farms / 20, "{sum:?}");
        assert!(sum.submitted_again as u64 > farms / 20, "{sum:?}");
        assert!(sum.seconds > farms / 10, "{sum:?}");
        assert!(sum.seconds_first > farms / 50, "{sum:?}");
    }
}

/// Runs one seed with its trace.
fn replay(seed: u64) {
    let run_seed = Run {
        seed,
        traced: true,
        flaw: None,
    };
    let (result, trace) = run(run_seed);
    for line in trace {
        println!("{line}");
    }
    println!("seed {seed}: {result:?}");
    assert!(result.is_ok(), "seed {seed} fails: see above");
}

#[test]
fn equal_seeds_are_equal_runs() {
    for seed in 1..30 {
        let one = Run {
            seed,
            traced: true,
            flaw: None,
        };
        let (first, second) = (run(one), run(one));
        assert_eq!(first.1, second.1, "seed {seed}");
        assert_eq!(first.0.ok(), second.0.ok(), "seed {seed}");
    }
}

/// What the first of two thousand seeds that notices this mistake says of it.
fn found(flaw: Flaw) -> Option<String> {
    let sum = Mutex::new(Report::default());
    (1..2_000).find_map(|seed| wrong(seed, Some(flaw), &sum))
}

#[track_caller]
fn assert_found(flaw: Flaw, expected: &str) {
    let what = found(flaw).unwrap_or_else(|| panic!("{flaw:?} is not noticed"));
    assert!(what.contains(expected), "{flaw:?} is noticed as: {what}");
}

#[test]
fn a_stale_worker_and_a_queue_without_fences_are_found() {
    let what = found(Flaw::Unfenced).expect("a queue without fences is not noticed");
    // The end of one worker of a straggler may be taken for that of the other.
    let ways = ["a stale completion was accepted", "leased twice at once"];
    assert!(ways.iter().any(|way| what.contains(way)), "{what}");
}

#[test]
fn a_queue_that_leases_a_task_twice_is_found() {
    assert_found(Flaw::GivesTwice, "leased twice at once");
}

#[test]
fn a_worker_that_outlives_its_lease_is_found() {
    assert_found(Flaw::NoKill, "at once");
}

#[test]
fn a_worker_that_takes_company_for_none_is_found() {
    assert_found(Flaw::SaysAlone, "fails without a reason: out of memory");
}

#[test]
fn a_queue_that_hears_both_workers_of_a_straggler_is_found() {
    assert_found(Flaw::HearsBoth, "of a worker that was overtaken");
}

#[test]
fn a_queue_that_loses_tasks_is_found() {
    assert_found(Flaw::LosesTasks, "not over long after the faults stopped");
}

#[test]
fn a_scheduler_that_does_not_see_that_the_queue_lost_its_data_is_found() {
    assert_found(Flaw::NoRepublish, "not over long after the faults stopped");
}

#[test]
fn a_result_without_its_blobs_is_found() {
    assert_found(Flaw::CompleteFirst, "accepted without its blob");
}

#[test]
fn a_registry_that_takes_events_of_earlier_owners_is_found() {
    assert_found(Flaw::UnfencedAppends, "is no owner, and wrote events");
}

#[test]
fn a_registry_that_loses_events_and_says_nothing_is_found() {
    let what = found(Flaw::LosesAppends).expect("lost events are not noticed");
    let ways = ["comes after", "not over long after the faults stopped"];
    assert!(ways.iter().any(|way| what.contains(way)), "{what}");
}

#[test]
fn an_owner_that_does_not_write_again_what_was_lost_is_found() {
    assert_found(Flaw::NoRestore, "not over long after the faults stopped");
}

#[test]
fn builds_that_nobody_takes_over_are_found() {
    assert_found(Flaw::NoTakeOver, "is without an owner since");
}

#[test]
fn a_next_owner_that_does_not_know_what_was_told_is_found() {
    let what = found(Flaw::ForgetsLog).expect("a forgotten log is not noticed");
    let ways = [
        "is accepted twice",
        "is told twice",
        "has other events",
        // What the registry does not take of an owner that knows less than it has.
        "not over long after the faults stopped",
    ];
    assert!(ways.iter().any(|way| what.contains(way)), "{what}");
}

#[test]
fn a_replica_that_keeps_builds_of_others_is_found() {
    assert_found(
        Flaw::KeepsLostBuilds,
        "not over long after the faults stopped",
    );
}

#[test]
fn a_build_that_does_not_hear_that_its_sources_have_come_is_found() {
    assert_found(
        Flaw::NeverProvided,
        "not over long after the faults stopped",
    );
}

#[test]
fn an_owner_that_leaves_it_to_others_to_record_what_was_accepted_is_found() {
    assert_found(Flaw::ForgetsResults, "is not in the action cache");
}

#[test]
fn a_replica_that_cancels_what_the_next_owner_may_be_about_to_join_is_found() {
    assert_found(Flaw::CancelsAtOnce, "may be about to join");
}

#[test]
fn mixed_up_results_are_found() {
    let what = found(Flaw::MixesUpResults).expect("mixed up results are not noticed");
    let ways = [
        "two results are recorded",
        "should have come to",
        "came out differently",
        "should not",
    ];
    assert!(ways.iter().any(|way| what.contains(way)), "{what}");
}
