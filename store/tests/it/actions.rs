//! The action cache.

use std::fs;

use gofarm_proto::{ActionKey, Digest, v1};
use gofarm_store::{ErrorClass, Recorded, StoreError};

use crate::fixture::{Fixture, result};

const KEY: ActionKey = ActionKey([0xab; 32]);

#[test]
fn a_result_is_found_by_its_key_alone() {
    let fixture = Fixture::new();
    assert_eq!(fixture.store.action(&KEY).unwrap(), None);
    let mut recorded = result(&[("export", Digest::of(b"x")), ("object", Digest::of(b"y"))]);
    recorded.log = b"# p\nwarning\n".to_vec();
    recorded.content_id = "47DEQpj8HBSa-_TImW-5".to_owned();
    let outcome = fixture
        .store
        .record_action(&KEY, &recorded, &v1::Provenance::default())
        .unwrap();
    assert_eq!(outcome, Recorded::Stored);
    assert_eq!(fixture.store.action(&KEY).unwrap(), Some(recorded));
    assert_eq!(fixture.store.action(&ActionKey([0; 32])).unwrap(), None);
}

#[test]
fn the_same_outputs_again_change_nothing() {
    let fixture = Fixture::new();
    let first = result(&[("export", Digest::of(b"x")), ("object", Digest::of(b"y"))]);
    fixture
        .store
        .record_action(&KEY, &first, &v1::Provenance::default())
        .unwrap();
    let mut second = first.clone();
    second.outputs.reverse();
    second.usage = Some(v1::Usage {
        wall_ms: 12,
        ..v1::Usage::default()
    });
    let outcome = fixture
        .store
        .record_action(&KEY, &second, &v1::Provenance::default())
        .unwrap();
    assert_eq!(outcome, Recorded::AlreadyThere);
    assert_eq!(fixture.store.action(&KEY).unwrap(), Some(first));
    assert_eq!(fixture.store.usage().unwrap().findings, 0);
}

#[test]
fn other_outputs_are_a_finding_and_the_first_result_stays() {
    let fixture = Fixture::new();
    let first = result(&[("binary", fixture.store.put_bytes(b"one").unwrap())]);
    let second = result(&[("binary", fixture.store.put_bytes(b"two").unwrap())]);
    fixture
        .store
        .record_action(&KEY, &first, &v1::Provenance::default())
        .unwrap();
    // Twice, as when the build is repeated: the finding is kept once.
    for _ in 0..2 {
        match fixture
            .store
            .record_action(&KEY, &second, &v1::Provenance::default())
            .unwrap()
        {
            Recorded::NonDeterministic { valid, finding, .. } => {
                assert_eq!(*valid, first);
                assert!(finding.is_file());
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(fixture.store.action(&KEY).unwrap(), Some(first));
    assert_eq!(fixture.store.usage().unwrap().findings, 1);
}

/// Or the action would be run at every build, since nothing makes the lost bytes again.
#[test]
fn other_outputs_replace_a_result_whose_outputs_are_lost() {
    let fixture = Fixture::new();
    let lost = fixture.store.put_bytes(b"one").unwrap();
    fixture
        .store
        .record_action(
            &KEY,
            &result(&[("binary", lost)]),
            &v1::Provenance::default(),
        )
        .unwrap();
    fs::remove_file(fixture.store.path(&lost)).unwrap();
    let second = result(&[("binary", fixture.store.put_bytes(b"two").unwrap())]);
    match fixture
        .store
        .record_action(&KEY, &second, &v1::Provenance::default())
        .unwrap()
    {
        Recorded::NonDeterministic { valid, finding, .. } => {
            assert_eq!(*valid, second);
            assert!(finding.is_file());
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(fixture.store.action(&KEY).unwrap(), Some(second));
}

#[test]
fn the_executable_bit_is_part_of_an_output() {
    let fixture = Fixture::new();
    let first = result(&[("binary", fixture.store.put_bytes(b"one").unwrap())]);
    let mut second = first.clone();
    second.outputs[0].executable = true;
    fixture
        .store
        .record_action(&KEY, &first, &v1::Provenance::default())
        .unwrap();
    let outcome = fixture
        .store
        .record_action(&KEY, &second, &v1::Provenance::default())
        .unwrap();
    assert!(matches!(outcome, Recorded::NonDeterministic { .. }));
}

#[test]
fn a_torn_or_damaged_entry_is_absent_set_aside_and_can_be_recorded_again() {
    let fixture = Fixture::new();
    let recorded = result(&[("export", Digest::of(b"x"))]);
    fixture
        .store
        .record_action(&KEY, &recorded, &v1::Provenance::default())
        .unwrap();
    let path = fixture.files("actions").remove(0);
    let whole = fs::read(&path).unwrap();
    let mut flipped = whole.clone();
    flipped[40] ^= 1;
    let damages = [
        &whole[..0],
        &whole[..10],
        &whole[..whole.len() - 1],
        &flipped,
    ];
    for (count, damaged) in (1..).zip(damages) {
        fs::write(&path, damaged).unwrap();
        assert_eq!(fixture.store.action(&KEY).unwrap(), None);
        assert!(!path.exists());
        assert_eq!(fixture.store.found_damage().actions, count);
        let outcome = fixture
            .store
            .record_action(&KEY, &recorded, &v1::Provenance::default())
            .unwrap();
        assert_eq!(outcome, Recorded::Stored);
    }
    fs::write(&path, &flipped).unwrap();
    let outcome = fixture
        .store
        .record_action(&KEY, &recorded, &v1::Provenance::default())
        .unwrap();
    assert_eq!(outcome, Recorded::Stored, "recording over a damaged entry");
    assert_eq!(fixture.store.usage().unwrap().quarantined, 5);
}

#[test]
fn an_entry_of_another_key_is_no_entry() {
    let fixture = Fixture::new();
    fixture
        .store
        .record_action(
            &KEY,
            &result(&[("export", Digest::of(b"x"))]),
            &v1::Provenance::default(),
        )
        .unwrap();
    let path = fixture.files("actions").remove(0);
    let other = ActionKey([0xac; 32]);
    let moved = fixture.store.root().join("actions/ac").join(other.hex());
    fs::create_dir(moved.parent().unwrap()).unwrap();
    fs::rename(path, moved).unwrap();
    assert_eq!(fixture.store.action(&other).unwrap(), None);
}

#[test]
fn failures_and_malformed_results_are_refused() {
    let fixture = Fixture::new();
    let output = Digest::of(b"x");
    let mut failed = result(&[]);
    failed.exit_code = 2;
    let mut without_digest = result(&[("export", output)]);
    without_digest.outputs[0].digest = None;
    let mut short = result(&[("export", output)]);
    short.outputs[0].digest = Some(v1::Digest {
        hash: vec![1; 31],
        size: 1,
    });
    let twice = result(&[("export", output), ("export", output)]);
    for bad in [failed, without_digest, short, twice] {
        let error = fixture
            .store
            .record_action(&KEY, &bad, &v1::Provenance::default())
            .unwrap_err();
        assert!(matches!(error, StoreError::BadResult { .. }), "{error}");
        assert_eq!(error.class(), ErrorClass::Bug);
    }
    assert_eq!(fixture.store.action(&KEY).unwrap(), None);
}

/// Threads with different results for one key: one is the first, and all learn which.
#[test]
fn of_many_results_at_once_one_is_valid_for_all() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let valid: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8u8)
            .map(|n| {
                scope.spawn(move || {
                    let output = store.put_bytes(&[n]).unwrap();
                    let mine = result(&[("binary", output)]);
                    match store
                        .record_action(&KEY, &mine, &v1::Provenance::default())
                        .unwrap()
                    {
                        Recorded::Stored => (true, mine),
                        Recorded::TakenBack => unreachable!(),
                        Recorded::NonDeterministic { valid, .. } => (false, *valid),
                        Recorded::AlreadyThere => panic!("no two are alike"),
                    }
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert_eq!(valid.iter().filter(|(stored, _)| *stored).count(), 1);
    let held = store.action(&KEY).unwrap().unwrap();
    assert!(valid.iter().all(|(_, result)| *result == held));
    assert_eq!(store.usage().unwrap().findings, 7);
}

#[test]
fn the_maker_of_a_result_is_kept_with_it_and_named_when_another_comes_to_a_different_one() {
    let fixture = Fixture::new();
    let by = |worker: &str| v1::Provenance {
        worker: worker.to_owned(),
        ..v1::Provenance::default()
    };
    let blob = |bytes: &[u8]| fixture.store.put_bytes(bytes).unwrap();
    let first = result(&[("o", blob(b"1"))]);
    let second = result(&[("o", blob(b"2"))]);
    fixture
        .store
        .record_action(&KEY, &first, &by("one"))
        .unwrap();
    let entry = fixture.store.entry(&KEY).unwrap().unwrap();
    assert_eq!((entry.result, entry.made), (first, Some(by("one"))));
    let recorded = fixture.store.record_action(&KEY, &second, &by("two"));
    let Recorded::NonDeterministic { first, .. } = recorded.unwrap() else {
        panic!("not noticed");
    };
    assert_eq!(first, Some(by("one")));
}
