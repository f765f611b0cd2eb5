//! The history of durations and memory peaks.

use std::fs;
use std::time::SystemTime;

use gofarm_proto::v1::Kind;
use gofarm_store::{Estimate, History};

fn cost(duration_ms: u64, peak_memory: u64) -> Estimate {
    Estimate {
        duration_ms,
        peak_memory,
    }
}

#[test]
fn a_measurement_is_an_estimate_of_the_same_package_and_kind_only() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("history");
    let history = History::load(&file, SystemTime::now()).unwrap();
    assert_eq!(history.estimate("fmt", Kind::Compile), None);
    history.record("fmt", Kind::Compile, cost(120, 90 << 20));
    history.save().unwrap();
    for history in [history, History::load(&file, SystemTime::now()).unwrap()] {
        let estimate = history.estimate("fmt", Kind::Compile);
        assert_eq!(estimate, Some(cost(120, 90 << 20)));
        assert_eq!(history.estimate("fmt", Kind::Link), None);
        assert_eq!(history.estimate("fmt [p.test]", Kind::Compile), None);
    }
}

#[test]
fn durations_follow_and_memory_falls_slowly() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::load(&folder.path().join("history"), SystemTime::now()).unwrap();
    let estimate = || history.estimate("p", Kind::Link).unwrap();
    history.record("p", Kind::Link, cost(1000, 1000));
    history.record("p", Kind::Link, cost(2000, 500));
    assert_eq!(estimate(), cost(1400, 950));
    // A larger peak counts at once.
    history.record("p", Kind::Link, cost(1400, 3000));
    assert_eq!(estimate(), cost(1400, 3000));
    for _ in 0..60 {
        history.record("p", Kind::Link, cost(1, 100));
    }
    let settled = estimate();
    assert_eq!(settled.duration_ms, 1);
    assert!((100..120).contains(&settled.peak_memory), "{settled:?}");
}

#[test]
fn a_damaged_history_is_discarded_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("history");
    fs::write(&file, b"not a history").unwrap();
    let history = History::load(&file, SystemTime::now()).unwrap();
    assert_eq!(history.discarded(), 1);
    assert_eq!(history.estimate("fmt", Kind::Compile), None);
    history.record("fmt", Kind::Compile, cost(1, 1));
    history.save().unwrap();
    let history = History::load(&file, SystemTime::now()).unwrap();
    assert_eq!(history.discarded(), 0);
}
