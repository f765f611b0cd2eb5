//! Who is trusted, and what it costs to know it.

use super::*;

fn worker(name: &str) -> v1::Worker {
    v1::Worker {
        name: name.to_owned(),
        pool: "default".to_owned(),
        ..v1::Worker::default()
    }
}

fn crash(standings: &mut Standings, name: &str, now: Instant) {
    let crashed = Verdict::Crashed("no disk".to_owned());
    standings.judge(name, KEY, crashed, now);
}

const KEY: ActionKey = ActionKey([1; 32]);

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_worker_that_only_crashes_is_set_aside_and_proves_itself() {
    let mut standings = Standings::default();
    let mut now = Instant::now();
    standings.meet(worker("good"), now);
    assert_eq!(standings.meet(worker("bad"), now).0, Allowance::All);
    for count in 1..=CRASHES {
        crash(&mut standings, "bad", now);
        standings.judge("good", KEY, Verdict::Able, now);
        let (allowance, listed) = standings.meet(worker("bad"), now);
        assert!(matches!(allowance, Allowance::Nothing { .. }), "{count}");
        assert_eq!(listed.set_aside.is_empty(), count < CRASHES);
        if count < CRASHES {
            now += 20 * SECOND;
            standings.meet(worker("good"), now);
            assert_eq!(standings.meet(worker("bad"), now).0, Allowance::All);
        }
    }
    // The first probe comes after 30 s, and while it runs there is no second.
    now += FIRST_PAUSE - SECOND;
    standings.meet(worker("good"), now);
    assert_ne!(standings.meet(worker("bad"), now).0, Allowance::Probe);
    now += SECOND;
    assert_eq!(standings.meet(worker("bad"), now).0, Allowance::Probe);
    standings.probing("bad", now);
    assert_ne!(standings.meet(worker("bad"), now).0, Allowance::Probe);
    // It crashes: twice the pause.
    crash(&mut standings, "bad", now);
    now += 2 * FIRST_PAUSE - SECOND;
    standings.meet(worker("good"), now);
    assert_ne!(standings.meet(worker("bad"), now).0, Allowance::Probe);
    now += SECOND;
    assert_eq!(standings.meet(worker("bad"), now).0, Allowance::Probe);
    // It succeeds.
    standings.judge("bad", KEY, Verdict::Able, now);
    let (allowance, listed) = standings.meet(worker("bad"), now);
    assert_eq!(
        (allowance, listed.set_aside),
        (Allowance::All, String::new())
    );
}

#[test]
fn a_task_that_a_worker_crashed_with_is_left_to_others_for_a_while() {
    let mut standings = Standings::default();
    let now = Instant::now();
    for name in ["one", "two"] {
        standings.meet(worker(name), now);
    }
    assert!(!standings.leaves("one", &KEY, now));
    crash(&mut standings, "one", now);
    assert!(!standings.leaves("one", &ActionKey([2; 32]), now));
    for _ in 0..LEAVES {
        assert!(standings.leaves("one", &KEY, now));
        let (allowance, _) = standings.meet(worker("one"), now);
        assert!(matches!(allowance, Allowance::Nothing { .. }));
    }
    assert!(!standings.leaves("one", &KEY, now), "nobody else takes it");
    // Nobody is left who has not crashed with it.
    crash(&mut standings, "two", now);
    assert!(!standings.leaves("two", &KEY, now));
}

#[test]
fn where_nobody_succeeds_the_worker_is_not_to_blame() {
    let mut standings = Standings::default();
    let mut now = Instant::now();
    for _ in 0..3 * CRASHES {
        now += 60 * SECOND;
        standings.meet(worker("other"), now);
        standings.meet(worker("one"), now);
        crash(&mut standings, "one", now);
        assert_eq!(standings.meet(worker("one"), now).1.set_aside, "");
    }
}

#[test]
fn a_worker_without_others_is_always_trusted() {
    let mut standings = Standings::default();
    let now = Instant::now();
    standings.meet(worker("gone"), now);
    standings.meet(worker("bad"), now);
    for _ in 0..CRASHES {
        crash(&mut standings, "bad", now);
        standings.judge("gone", KEY, Verdict::Able, now);
    }
    assert_ne!(standings.meet(worker("bad"), now).0, Allowance::All);
    let now = now + PRESENT;
    assert_eq!(standings.meet(worker("bad"), now).0, Allowance::All);
}

/// What a walk through all workers says: how the same was found before, and the model of the three questions.
impl Standings {
    fn others(&self, name: &str) -> impl Iterator<Item = &Standing> {
        let others = self
            .workers
            .iter()
            .filter(move |(other, _)| ***other != *name);
        others.map(|(_, standing)| standing)
    }

    fn check(&self, name: &str, key: &ActionKey, now: Instant) {
        let pool = self.workers.get(name).map(|standing| &standing.worker.pool);
        let present = self.others(name).any(|other| {
            is_present(other.heard, now) && !other.is_aside() && Some(&other.worker.pool) == pool
        });
        assert_eq!(self.others_present(name, now), present);
        for before in [0, 20, 60] {
            let since = now - before * SECOND;
            let mut others = self.others(name);
            let succeeded = others.any(|of| of.succeeded.is_some_and(|when| when >= since));
            assert_eq!(self.others_succeeded(name, since), succeeded);
        }
        let takes = self
            .others(name)
            .any(|other| is_present(other.heard, now) && !other.crashed_with.contains_key(key));
        assert_eq!(self.others_take(name, key, now), takes);
        assert_eq!(self.heard.len(), self.workers.len());
        let trusted: usize = self.trusted.values().map(ByTime::len).sum();
        let aside = self.workers.values().filter(|standing| standing.is_aside());
        assert_eq!(trusted, self.workers.len() - aside.count());
        assert!(self.trusted.values().all(|pool| pool.len() > 0));
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config {
        failure_persistence: None,
        ..proptest::test_runner::Config::default()
    })]

    #[test]
    fn what_is_said_of_the_others_is_what_a_walk_through_them_says(
        steps in proptest::collection::vec((0u8..6, 0u8..5, 0u8..3, 0u64..50), 0..120),
    ) {
        let mut standings = Standings::default();
        let mut now = Instant::now() + Duration::from_secs(3600);
        for (what, who, key, pause) in steps {
            // Now and then a time after which all are forgotten.
            now += match pause {
                49 => FORGOTTEN,
                pause => SECOND * u32::try_from(pause / 2).unwrap(),
            };
            let name = format!("w{who}");
            let key = ActionKey([key; 32]);
            match what {
                0 | 1 => {
                    let pool = if pause % 3 == 0 { "other" } else { "default" };
                    let worker = v1::Worker { pool: pool.to_owned(), ..worker(&name) };
                    standings.meet(worker, now);
                }
                2 => standings.judge(&name, key, Verdict::Able, now),
                3 => {
                    let crashed = Verdict::Crashed("no disk".to_owned());
                    standings.judge(&name, key, crashed, now);
                }
                4 => {
                    standings.leaves(&name, &key, now);
                }
                _ => {
                    standings.heard(&name, 1, now);
                    standings.probing(&name, now);
                }
            }
            for who in 0..5 {
                for key in 0..3 {
                    standings.check(&format!("w{who}"), &ActionKey([key; 32]), now);
                }
            }
        }
    }
}

#[test]
fn workers_that_make_up_names_are_known_up_to_a_number() {
    let mut standings = Standings::default();
    let now = Instant::now();
    for number in 0..MOST + 100 {
        standings.meet(worker(&format!("worker {number}")), now);
    }
    assert_eq!(standings.workers.len(), MOST);
    assert_eq!(standings.heard.len(), MOST);
    // Of those that crash alone, no list without end.
    for number in 0..3_000u64 {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_le_bytes());
        let crashed = Verdict::Crashed("no disk".to_owned());
        standings.judge("worker 200", ActionKey(key), crashed, now);
    }
    let standing = &standings.workers["worker 200"];
    assert!(standing.crashed_with.len() <= MOST_TASKS);
}

#[test]
fn among_ten_thousand_workers_a_few_are_looked_at() {
    let mut standings = Standings::default();
    let now = Instant::now();
    for number in 0..10_000 {
        standings.meet(worker(&format!("worker {number}")), now);
    }
    let name = "worker 5000";
    for _ in 0..2 * CRASHES {
        crash(&mut standings, name, now);
        standings.judge("worker 1", KEY, Verdict::Able, now);
        standings.leaves(name, &KEY, now);
        standings.meet(worker(name), now);
    }
    let trusted = standings.trusted.values().map(|pool| pool.looks.get());
    let looks = trusted.sum::<usize>() + standings.heard.looks.get();
    let looks = looks + standings.succeeded.looks.get();
    assert!(looks <= 10 * 2 * CRASHES as usize, "{looks} looks");
}
