//! Random sequences of calls, told to the registry on Redis and to the one in memory: each answer must be the same.

use std::ops::Range;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::*;

/// A time within a day, the same for both registries.
fn lately() -> u64 {
    static NOW: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    *NOW.get_or_init(now_ms)
}

/// One call. Owners and builds are few, so that they meet.
#[derive(Clone, Debug)]
enum Call {
    Submit(u8, u128),
    /// By the proof that was given so many back.
    Append {
        proof: usize,
        after: u64,
        count: u64,
        dropped: Vec<u64>,
        over: bool,
    },
    Restore {
        proof: usize,
        confirmed: u64,
    },
    Renew(usize),
    Release(usize),
    TakeOver(u8),
    Cancel(u128),
    Provide(u128),
    Archive(usize),
    Look(u128),
}

const BUILDS: Range<u128> = 1..4;

fn call() -> impl Strategy<Value = Call> {
    let (owner, build, proof) = (0u8..2, BUILDS, 0usize..4);
    let dropped = prop::collection::vec(1u64..8, 0..3);
    prop_oneof![
        2 => (owner.clone(), build.clone()).prop_map(|(owner, build)| Call::Submit(owner, build)),
        5 => (proof.clone(), 0u64..6, 0u64..4, dropped, prop::bool::weighted(0.2)).prop_map(
            |(proof, after, count, dropped, over)| Call::Append { proof, after, count, dropped, over }
        ),
        2 => (proof.clone(), 0u64..8).prop_map(|(proof, confirmed)| Call::Restore { proof, confirmed }),
        2 => proof.clone().prop_map(Call::Renew),
        2 => proof.clone().prop_map(Call::Release),
        2 => owner.prop_map(Call::TakeOver),
        1 => build.clone().prop_map(Call::Cancel),
        1 => build.clone().prop_map(Call::Provide),
        1 => proof.prop_map(Call::Archive),
        2 => build.prop_map(Call::Look),
    ]
}

/// Makes a call, and says in words what came of it. `proofs` are those that were given so far.
async fn made(registry: &dyn Registry, call: &Call, proofs: &mut Vec<Ownership>) -> String {
    let proof = |back: usize| {
        let place = proofs.len().checked_sub(1 + back)?;
        proofs.get(place).cloned()
    };
    let name = |owner: u8| super::owner(&format!("owner {owner}"));
    match call {
        Call::Submit(owner, number) => {
            let submitted = registry
                .submit(&name(*owner), &build(*number))
                .await
                .unwrap();
            proofs.extend(submitted.clone());
            format!("{submitted:?}")
        }
        Call::Append {
            proof: back,
            after,
            count,
            dropped,
            over,
        } => {
            let Some(held) = proof(*back) else {
                return String::new();
            };
            let mut call = append(&held, *after, after + count);
            call.dropped.clone_from(dropped);
            call.record.running = u32::try_from(after + count).unwrap();
            if *over {
                call.record.finished_ms = lately();
            }
            format!("{:?}", registry.append(&call).await.unwrap())
        }
        Call::Restore {
            proof: back,
            confirmed,
        } => {
            let Some(ownership) = proof(*back) else {
                return String::new();
            };
            let restore = Restore {
                record: build(ownership.build.0),
                ownership,
                confirmed: *confirmed,
            };
            format!("{}", registry.restore(&restore).await.unwrap())
        }
        Call::Renew(back) => {
            let held: Vec<Ownership> = proof(*back).into_iter().collect();
            format!("{:?}", registry.renew(&held).await.unwrap())
        }
        Call::Release(back) => {
            let held: Vec<Ownership> = proof(*back).into_iter().collect();
            registry.release(&held).await.unwrap();
            String::new()
        }
        Call::TakeOver(owner) => {
            let taken = registry.take_over(&name(*owner), 10).await.unwrap();
            proofs.extend(taken.clone());
            format!("{taken:?}")
        }
        Call::Cancel(number) => format!("{}", registry.cancel(BuildId(*number)).await.unwrap()),
        Call::Provide(number) => {
            let provided = v1::ProvideRequest {
                build: BuildId(*number).to_string(),
                ..v1::ProvideRequest::default()
            };
            let known = registry.provide(BuildId(*number), &provided).await;
            format!("{}", known.unwrap())
        }
        Call::Archive(back) => {
            let Some(held) = proof(*back) else {
                return String::new();
            };
            let mut record = build(held.build.0);
            record.finished_ms = lately();
            registry.archive(&held, &record).await.unwrap();
            String::new()
        }
        Call::Look(number) => {
            let build = BuildId(*number);
            let record = registry.get(build).await.unwrap();
            let events = registry.events(build, 2, 100, Duration::ZERO).await;
            let open = registry.list(10, true).await.unwrap();
            format!("{record:?} {:?} {}", events.unwrap(), open.len())
        }
    }
}

/// Longer than this, and ownerships run out at moments of their own.
const IN_TIME: Duration = Duration::from_secs(2);

#[test]
fn on_redis_every_answer_is_as_in_memory() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = RedisServer::start();
    let namespaces = std::sync::atomic::AtomicUsize::new(0);
    let config = Config {
        cases: 200,
        failure_persistence: None,
        ..Config::default()
    };
    // The same in each run: what fails is the fault of a change.
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, random);
    let calls = prop::collection::vec(call(), 1..40);
    let outcome = runner.run(&calls, |calls| {
        runtime.block_on(async {
            let number = namespaces.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let redis = RedisRegistry::connect(server.url(0), &format!("model-{number}")).unwrap();
            let memory = MemoryRegistry::new();
            let (mut of_redis, mut of_memory) = (Vec::new(), Vec::new());
            let begin = Instant::now();
            let looks = BUILDS.map(Call::Look);
            for call in calls.iter().cloned().chain(looks) {
                let found = made(&redis, &call, &mut of_redis).await;
                let expected = made(&memory, &call, &mut of_memory).await;
                if begin.elapsed() > IN_TIME {
                    return Err(TestCaseError::reject("took too long"));
                }
                prop_assert_eq!(found, expected, "after {:?}", call);
            }
            Ok(())
        })
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
