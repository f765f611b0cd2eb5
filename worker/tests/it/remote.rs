//! A worker of a farm, over real connections.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use gofarm_engine::core::{Log, Outcome};
use gofarm_proto::{Digest, v1};
use gofarm_queue::LeaseQueue;
use gofarm_worker::remote::c_toolchains;
use gofarm_worker::{Capacity, ExecuteError, LeaseSource};
use nix::sys::signal::Signal;

use crate::farm::{assert_gone, host_action, is_alive, known, output, sh};
use crate::program::Worker;
use crate::remote_farm::{PLATFORM, RemoteFarm, RemoteWorker};

const TTL: Duration = Duration::from_secs(3);
const FOREVER: &str = "echo child $$; sleep 1000 & wait";

/// Copies its one input to its one output.
fn copies(label: &str, input: Digest) -> v1::Action {
    v1::Action {
        label: label.to_owned(),
        inputs: vec![known("/__gofarm__/main/in.txt", input)],
        outputs: vec![output("copy", "/__gofarm__/w/out.txt")],
        ..host_action(vec![sh("echo copying; cat ../main/in.txt > out.txt")])
    }
}

fn succeeded(outcome: Outcome) -> Digest {
    match outcome {
        Outcome::Succeeded(result) => result.output("copy").unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_action_is_fetched_run_and_its_output_uploaded() {
    let farm = RemoteFarm::start(TTL).await;
    let worker = RemoteWorker::start(&farm, 2);
    let input = farm.put(b"hello").await;
    let key = farm.submit(&copies("copy", input), &[]).await;
    let copy = succeeded(farm.outcome(key).await);
    assert_eq!(farm.store.read(copy).await.unwrap(), b"hello");
    assert!(farm.is_recorded(key).await);
    assert_eq!(farm.line(key, "copy").await, "ing");
    assert!(worker.store.contains(&input));
    let listed = farm.table.0.lock().unwrap().last().cloned().unwrap();
    assert_eq!((&*listed.name, listed.slots), ("w", 2));
    assert_eq!(listed.platforms, [PLATFORM]);
}

#[tokio::test]
async fn many_tasks_need_one_lease_each() {
    let farm = RemoteFarm::start(TTL).await;
    let _worker = RemoteWorker::start(&farm, 3);
    let mut keys = Vec::new();
    for number in 0..30 {
        let input = farm.put(format!("{number}").as_bytes()).await;
        keys.push(farm.submit(&copies("copy", input), &[]).await);
        if number % 10 == 9 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    for key in keys {
        succeeded(farm.outcome(key).await);
    }
    assert_eq!(farm.queue.stats().await.unwrap().leases_given, 30);
    assert_eq!(farm.ends(), 30);
}

#[tokio::test]
async fn a_failure_comes_with_its_output() {
    let farm = RemoteFarm::start(TTL).await;
    let _worker = RemoteWorker::start(&farm, 1);
    let key = farm
        .submit(&host_action(vec![sh("echo no; exit 4")]), &[])
        .await;
    match farm.outcome(key).await {
        Outcome::Failed(result) => {
            assert_eq!(result.exit_code, 4);
            assert_eq!(result.log, Log::from(b"no\n".to_vec()));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_long_log_is_in_the_store_when_its_result_is_told() {
    let farm = RemoteFarm::start(TTL).await;
    let worker = RemoteWorker::start(&farm, 1);
    for code in [0, 4] {
        let script = format!("yes no | head -c 3000000; exit {code}");
        let key = farm.submit(&host_action(vec![sh(&script)]), &[]).await;
        let result = match farm.outcome(key).await {
            Outcome::Succeeded(result) if code == 0 => result,
            Outcome::Failed(result) if code == 4 => result,
            other => panic!("{other:?}"),
        };
        let log = result.log.blob().unwrap();
        let text = farm.store.read(log).await.unwrap();
        assert!(text == b"no\n".repeat(1_000_000));
        assert!(worker.store.contains(&log));
        // It is no output: whoever builds on the action does not read it.
        assert!(!result.made(&log));
    }
}

#[tokio::test]
async fn inputs_that_nobody_has_are_named() {
    let farm = RemoteFarm::start(TTL).await;
    let _worker = RemoteWorker::start(&farm, 1);
    let lost = Digest::of(b"lost");
    let key = farm.submit(&copies("copy", lost), &[]).await;
    let outcome = farm.outcome(key).await;
    assert_eq!(outcome, Outcome::BlobsMissing([lost].into()));
}

#[tokio::test]
async fn a_cancelled_task_is_gone_within_a_renewal_interval() {
    let farm = RemoteFarm::start(TTL).await;
    let _worker = RemoteWorker::start(&farm, 1);
    let key = farm.submit(&host_action(vec![sh(FOREVER)]), &[]).await;
    let pid = farm.line(key, "child ").await;
    assert!(is_alive(&pid));
    let cancelled = Instant::now();
    farm.cancel(key).await;
    assert_eq!(farm.outcome(key).await, Outcome::Cancelled);
    assert_gone(&[&pid]).await;
    assert!(cancelled.elapsed() < TTL / 3 + Duration::from_secs(1));
}

#[tokio::test]
async fn a_lease_that_the_farm_does_not_know_any_more_ends_its_processes() {
    let farm = RemoteFarm::start(TTL).await;
    let _worker = RemoteWorker::start(&farm, 1);
    let key = farm.submit(&host_action(vec![sh(FOREVER)]), &[]).await;
    let pid = farm.line(key, "child ").await;
    farm.queue.reset();
    assert_gone(&[&pid]).await;
    assert_eq!(farm.ends(), 0);
    // The worker goes on.
    let input = farm.put(b"after").await;
    let key = farm.submit(&copies("copy", input), &[]).await;
    succeeded(farm.outcome(key).await);
}

#[tokio::test]
async fn a_worker_that_is_cut_off_ends_its_processes_before_its_lease_runs_out() {
    let farm = RemoteFarm::start(TTL).await;
    let _worker = RemoteWorker::start(&farm, 1);
    let key = farm.submit(&host_action(vec![sh(FOREVER)]), &[]).await;
    let pid = farm.line(key, "child ").await;
    farm.wire.cut();
    let cut = Instant::now();
    assert_eq!(farm.outcome(key).await, Outcome::LostLease);
    assert!(!is_alive(&pid), "it ran for longer than its lease");
    assert!(cut.elapsed() < TTL + Duration::from_secs(1));
}

#[tokio::test]
async fn what_ends_while_the_farm_is_away_is_told_when_it_is_back() {
    let farm = RemoteFarm::start(TTL).await;
    let _worker = RemoteWorker::start(&farm, 1);
    let input = farm.put(b"hello").await;
    let mut action = copies("copy", input);
    action.steps.push(sh("echo begun; sleep 0.7"));
    let key = farm.submit(&action, &[]).await;
    farm.line(key, "begun").await;
    farm.wire.cut();
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!(farm.ends(), 0);
    farm.wire.mend();
    let copy = succeeded(farm.outcome(key).await);
    assert_eq!(farm.store.read(copy).await.unwrap(), b"hello");
    assert_eq!(farm.queue.stats().await.unwrap().leases_given, 1);
}

#[tokio::test]
async fn a_drained_worker_gives_back_what_it_cannot_finish() {
    let farm = RemoteFarm::start(TTL).await;
    let worker = RemoteWorker::start(&farm, 1);
    let key = farm.submit(&host_action(vec![sh(FOREVER)]), &[]).await;
    let pid = farm.line(key, "child ").await;
    worker.drain.cancel();
    worker.give_back.cancel();
    assert_eq!(farm.outcome(key).await, Outcome::Released);
    worker.stop().await;
    assert!(!is_alive(&pid));
    // And takes nothing more, although it was just about to.
    let input = farm.put(b"late").await;
    farm.submit(&copies("copy", input), &[]).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(farm.queue.stats().await.unwrap().queued, 1);
}

/// Other bytes of the same size. Behind the seal only the time of the last status change shows it.
fn damage(path: &Path, behind_the_seal: bool) {
    let before = std::fs::metadata(path).unwrap();
    let mut bytes = std::fs::read(path).unwrap();
    bytes[0] ^= 1;
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::write(path, bytes).unwrap();
    if behind_the_seal {
        let file = std::fs::File::options().append(true).open(path).unwrap();
        file.set_modified(before.modified().unwrap()).unwrap();
        std::fs::set_permissions(path, before.permissions()).unwrap();
    }
}

#[tokio::test]
async fn a_damaged_blob_of_the_local_cache_is_fetched_again() {
    let farm = RemoteFarm::start(TTL).await;
    let mut worker = RemoteWorker::start(&farm, 1);
    let input = farm.put(b"hello").await;
    let key = farm.submit(&copies("first", input), &[]).await;
    let copy = succeeded(farm.outcome(key).await);
    for (number, behind_the_seal, next_process) in
        [(1, false, false), (2, true, false), (3, true, true)]
    {
        damage(&worker.store.path(&input), behind_the_seal);
        if next_process {
            let folder = worker.stop().await;
            // In the first moments the farm may still give to the one that has left, and take it back.
            tokio::time::sleep(Duration::from_millis(100)).await;
            worker = RemoteWorker::start_in(folder, &farm, 1);
        }
        let label = format!("again {number}");
        let key = farm.submit(&copies(&label, input), &[]).await;
        assert_eq!(succeeded(farm.outcome(key).await), copy, "{label}");
        let aside = worker.store.usage().unwrap().quarantined;
        assert_eq!(aside, number, "{label}");
    }
}

/// The output of an action is no input of its own, and is uploaded from the cache.
#[tokio::test]
async fn an_output_that_was_damaged_in_the_local_cache_is_made_again_for_the_next() {
    let farm = RemoteFarm::start(TTL).await;
    let worker = RemoteWorker::start(&farm, 1);
    let input = farm.put(b"hello").await;
    let key = farm.submit(&copies("first", input), &[]).await;
    let copy = succeeded(farm.outcome(key).await);
    damage(&worker.store.path(&copy), true);
    let mut other = copies("other", input);
    other.steps.push(sh("true"));
    let key = farm.submit(&other, &[]).await;
    assert_eq!(succeeded(farm.outcome(key).await), copy);
    assert_eq!(farm.store.read(copy).await.unwrap(), b"hello");
    assert_eq!(worker.store.read(&copy).unwrap(), b"hello");
}

/// Without a sandbox, or as root, whatever runs can write to a blob through its link, and put its times back.
#[tokio::test]
async fn what_an_action_made_of_inputs_that_were_changed_meanwhile_is_told_to_nobody() {
    const DAMAGE: &str = "chmod 755 ../main/in.txt; printf J | dd of=../main/in.txt conv=notrunc 2>&1; \
        chmod 555 ../main/in.txt; touch -d @1257894000 ../main/in.txt";
    let farm = RemoteFarm::start(TTL).await;
    let worker = RemoteWorker::start(&farm, 1);
    let folder = tempfile::tempdir().unwrap();
    for (number, then) in ["true", "exit 1", "kill -SEGV $$"].iter().enumerate() {
        let input = farm.put(format!("hello {number}").as_bytes()).await;
        let ran = folder.path().join(number.to_string());
        let ran = ran.display();
        let mut action = copies("copies", input);
        let first = format!("if [ ! -e {ran} ]; then touch {ran}; {DAMAGE}; {then}; fi");
        action.steps.insert(0, sh(&first));
        let key = farm.submit(&action, &[]).await;
        let copy = succeeded(farm.outcome(key).await);
        assert_eq!(copy, input, "{then}: the bytes of the second run");
        let aside = worker.store.usage().unwrap().quarantined;
        assert_eq!(aside, number as u64 + 1, "{then}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_finds_damage_in_its_cache_while_it_has_nothing_to_do() {
    let farm = RemoteFarm::start(TTL).await;
    let cache = tempfile::tempdir().unwrap();
    let scrub = ["--scrub-after", "200ms", "--scrub-rate", "1GiB"];
    let worker = Worker::with(&farm.wire.url(), cache.path(), &scrub, &[]);
    let input = farm.put(b"hello").await;
    let key = farm.submit(&copies("copy", input), &[]).await;
    succeeded(farm.outcome(key).await);
    let hex = input.hex();
    let blob = cache.path().join("cas").join(&hex[..2]).join(&hex);
    // In one step, since the scrub may come at any moment.
    let beside = cache.path().join("damaged");
    std::fs::copy(&blob, &beside).unwrap();
    let sealed = std::fs::metadata(&blob).unwrap().modified().unwrap();
    let times = std::fs::FileTimes::new().set_modified(sealed);
    let file = std::fs::File::open(&beside).unwrap();
    file.set_times(times).unwrap();
    damage(&beside, true);
    std::fs::rename(&beside, &blob).unwrap();
    let worker = worker.until_said("has been set aside").await;
    let worker = worker.until_said("scrubbed the local cache").await;
    let key = farm.submit(&copies("once more", input), &[]).await;
    succeeded(farm.outcome(key).await);
    worker.signal(Signal::SIGTERM);
    let (_, log) = worker.end().await;
    assert!(log.contains("\"damaged\":1"), "{log}");
}

#[tokio::test]
async fn the_farm_hears_at_once_that_a_worker_which_asked_ahead_is_free() {
    // Not renewed meanwhile: whatever is noted of the worker comes from what it asks for.
    let farm = RemoteFarm::start(Duration::from_secs(600)).await;
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate");
    let waits = format!("until [ -e {} ]; do sleep 0.01; done", gate.display());
    let waits = v1::Action {
        label: "waits".to_owned(),
        ..host_action(vec![sh(&waits)])
    };
    let key = farm.submit(&waits, &[]).await;
    let _worker = RemoteWorker::start_ahead_in(tempfile::tempdir().unwrap(), &farm, 1, 1);
    let noted = async |running: &[u32]| {
        let begun = Instant::now();
        while !farm.table.running().ends_with(running) {
            assert!(begun.elapsed() < Duration::from_secs(30), "not asked");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    // Idle it asked for the task, and full for one more.
    noted(&[0, 1]).await;
    let ahead_since = Instant::now();
    std::fs::write(&gate, "").unwrap();
    farm.outcome(key).await;
    noted(&[0, 1, 0]).await;
    // The call that asks ahead waits for five seconds.
    assert!(ahead_since.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn a_full_disk_gives_the_task_back_and_pauses_the_worker() {
    let farm = RemoteFarm::start(TTL).await;
    let folder = tempfile::tempdir().unwrap();
    let worker = RemoteWorker::idle_in(folder, &farm, 1);
    let input = farm.put(b"hello").await;
    let key = farm.submit(&copies("copy", input), &[]).await;
    let capacity = Capacity {
        slots: 1,
        memory: 1 << 30,
        idle: true,
        ahead: false,
    };
    let leases = worker.source.acquire(capacity).await.unwrap().unwrap();
    let full = ExecuteError::Full {
        what: "writing".to_owned(),
        folder: worker.store.root().to_owned(),
        log: Vec::new(),
    };
    worker.source.fail(leases[0].token, full).await.unwrap();
    assert_eq!(farm.outcome(key).await, Outcome::Released);
    let began = Instant::now();
    farm.submit(&copies("again", input), &[]).await;
    worker.source.acquire(capacity).await.unwrap().unwrap();
    assert!(began.elapsed() > Duration::from_millis(500), "no pause");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_works_and_finishes_what_runs_when_it_is_told_to_end() {
    let farm = RemoteFarm::start(TTL).await;
    let cache = tempfile::tempdir().unwrap();
    let worker = Worker::with(&farm.wire.url(), cache.path(), &[], &[]);
    let input = farm.put(b"hello").await;
    let mut action = copies("copy hello", input);
    action.steps.push(sh("echo begun; sleep 0.5"));
    let key = farm.submit(&action, &[]).await;
    farm.line(key, "begun").await;
    worker.signal(Signal::SIGTERM);
    succeeded(farm.outcome(key).await);
    let (code, log) = worker.end().await;
    assert_eq!(code, Some(0), "{log}");
    for line in log.lines() {
        assert!(line.starts_with("{\"timestamp\""), "{line}");
    }
    assert!(log.contains("\"action\":\"copy hello\""), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_gives_back_what_takes_too_long() {
    let farm = RemoteFarm::start(TTL).await;
    let cache = tempfile::tempdir().unwrap();
    let more = ["--drain-timeout", "200ms"];
    let worker = Worker::with(&farm.wire.url(), cache.path(), &more, &[]);
    let key = farm.submit(&host_action(vec![sh(FOREVER)]), &[]).await;
    let pid = farm.line(key, "child ").await;
    worker.signal(Signal::SIGTERM);
    assert_eq!(farm.outcome(key).await, Outcome::Released);
    let (code, log) = worker.end().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(!is_alive(&pid));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_worker_in_the_same_folder_is_refused() {
    let farm = RemoteFarm::start(TTL).await;
    let cache = tempfile::tempdir().unwrap();
    let first = Worker::with(&farm.wire.url(), cache.path(), &[], &[]);
    let input = farm.put(b"hello").await;
    let key = farm.submit(&copies("copy", input), &[]).await;
    farm.outcome(key).await;
    let second = Worker::with(&farm.wire.url(), cache.path(), &[], &[]);
    let (code, log) = second.end().await;
    assert_eq!(code, Some(3), "{log}");
    assert!(log.contains("another gofarm-worker uses it"), "{log}");
    first.signal(Signal::SIGINT);
    assert_eq!(first.end().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_the_program_at_once() {
    for (signal, expected) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130)] {
        let farm = RemoteFarm::start(TTL).await;
        let cache = tempfile::tempdir().unwrap();
        let more = ["--drain-timeout", "10m"];
        let worker = Worker::with(&farm.wire.url(), cache.path(), &more, &[]);
        let key = farm.submit(&host_action(vec![sh(FOREVER)]), &[]).await;
        let pid = farm.line(key, "child ").await;
        worker.signal(signal);
        let worker = worker.until_said("draining").await;
        worker.signal(signal);
        let (code, log) = worker.end().await;
        assert_eq!(code, Some(expected), "{log}");
        assert_gone(&[&pid]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_say_whose_turn_it_is() {
    let cache = tempfile::tempdir().unwrap();
    let file = cache.path().join("file");
    std::fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap();
    let good = "http://127.0.0.1:1";
    for (server, more, env, expected, word) in [
        (good, &["--slots", "none"][..], &[][..], 2, "--slots"),
        ("farm:1", &[], &[], 2, "farm:1"),
        (good, &[], &[("RUST_LOG", "=,=")], 2, "RUST_LOG"),
        (good, &[], &[("GOFARM_TOKEN", "two\nlines")], 2, "token"),
        (
            good,
            &[],
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318"),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ],
            2,
            "OTEL_EXPORTER_OTLP_PROTOCOL=http/json",
        ),
        (good, &["--token-file", "/nowhere"], &[], 2, "/nowhere"),
        (
            good,
            &[],
            &[("GOFARM_TOKEN_FILE", "/dev/zero")],
            2,
            "the token file /dev/zero is a device",
        ),
        (
            good,
            &["--token-file", file],
            &[],
            2,
            "holds no token: one word",
        ),
        (good, &["--cache-dir", file], &[], 3, file),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let more = match more {
            // Given once only.
            ["--cache-dir", _] => Worker::with(server, file.as_ref(), &[], env),
            more => Worker::with(server, folder.path(), more, env),
        };
        let (code, log) = more.end().await;
        assert!(
            code == Some(expected) && log.contains(word),
            "{code:?}: {log}"
        );
    }
}

#[test]
fn a_c_compiler_has_an_identity_alone_and_with_its_companions() {
    let one = |name: &str| c_toolchains(&[name.to_owned()]);
    let (Ok(c), Ok(cpp)) = (one("gcc"), one("g++")) else {
        eprintln!("not tested: there is no gcc, or no g++");
        return;
    };
    assert_eq!((c.len(), cpp.len()), (1, 1));
    let both = c_toolchains(&["gcc".to_owned(), "g++".to_owned()]).unwrap();
    assert_eq!(both.len(), 2);
    assert!(both.contains(&c[0]));
    let identity = format!("{}+{}", c[0].identity, cpp[0].identity);
    let name = format!("{} with {}", c[0].name, cpp[0].name);
    assert!(both.contains(&gofarm_proto::v1::CToolchain { identity, name }));
    assert!(c[0].name.starts_with("gcc "), "{:?}", c[0].name);
}
