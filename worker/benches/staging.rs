//! Staging and written files at the size of a large package or a link: 600 inputs.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a bench is its own documentation and may fail loudly"
)]

use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use gofarm_proto::v1::{self, input, step};
use gofarm_proto::{ActionKey, Message};
use gofarm_store::{DiskStore, DiskStoreOptions};
use gofarm_worker::{Executor, ExecutorOptions, Launcher, SandboxMode, Task};
use tokio_util::sync::CancellationToken;

const INPUTS: usize = 600;

/// An action without a program: all that it costs is staging, writing, collecting and removing.
fn task(store: &DiskStore, by_reference: bool) -> Task {
    let mut inputs = Vec::new();
    let mut importcfg = String::new();
    for number in 0..INPUTS {
        let path = format!("/__gofarm__/in/{number:04}/export");
        importcfg.push_str(&format!(
            "packagefile example.com/a/package/{number}={path}\n"
        ));
        let digest = store
            .put_bytes(format!("export {number}").as_bytes())
            .unwrap();
        inputs.push(v1::Input {
            path,
            source: Some(input::Source::Digest(digest.into())),
            by_reference,
            ..Default::default()
        });
    }
    let action = v1::Action {
        steps: vec![v1::Step {
            step: Some(step::Step::WriteFile(v1::WriteFile {
                path: "/__gofarm__/w/importcfg".to_owned(),
                content: importcfg.into_bytes(),
            })),
            ..Default::default()
        }],
        inputs,
        ..Default::default()
    };
    let definition = store.put_bytes(&action.encode_to_vec()).unwrap();
    Task {
        key: ActionKey::new(&definition, []),
        definition,
        produced: Vec::new(),
        exclusive: false,
    }
}

fn staging(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let folder = tempfile::tempdir_in(".").unwrap();
    let store = DiskStore::open(folder.path(), DiskStoreOptions::default()).unwrap();
    let options = ExecutorOptions {
        sandbox: SandboxMode::Off,
        cpus: 1,
        tuning: Vec::new(),
        compilers: Vec::new(),
        private: Vec::new(),
        default_timeout: Duration::from_secs(60),
        kept_work: None,
        launcher: Launcher {
            program: env!("CARGO_BIN_EXE_gofarm-sandbox").into(),
            args: Vec::new(),
        },
    };
    let executor = Executor::new(store.clone(), options).unwrap();
    for (name, by_reference) in [
        ("600 inputs linked", false),
        ("600 inputs by reference", true),
    ] {
        let task = task(&store, by_reference);
        let cancel = CancellationToken::new();
        criterion.bench_function(name, |bencher| {
            bencher.iter_batched(
                || (),
                |()| {
                    runtime
                        .block_on(executor.execute(&task, &cancel, &(), None))
                        .unwrap()
                },
                BatchSize::PerIteration,
            );
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(2));
    targets = staging
}
criterion_main!(benches);
