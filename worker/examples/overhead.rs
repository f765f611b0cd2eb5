//! Runs an action that does nothing many times, with and without a sandbox, and prints what the worker itself costs.
//!
//! `cargo run --release --example overhead -p gofarm-worker [times]`. Started with `launcher` it is its own launcher.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use gofarm_proto::v1::{self, input, step};
use gofarm_proto::{ActionKey, Message};
use gofarm_store::{DiskStore, DiskStoreOptions};
use gofarm_worker::{Executor, ExecutorOptions, Launcher, SandboxMode, Task};
use tokio_util::sync::CancellationToken;

/// As many inputs as a small package has beside its imports.
const INPUTS: usize = 20;

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    if argument.as_deref() == Some("launcher") {
        return gofarm_worker::launcher_main();
    }
    let times = argument.and_then(|text| text.parse().ok()).unwrap_or(500);
    match measure(times) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(times: usize) -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    for sandbox in [SandboxMode::Off, SandboxMode::Required] {
        let folder = tempfile::tempdir_in(".")?;
        let store = DiskStore::open(folder.path(), DiskStoreOptions::default())?;
        let task = nothing(&store)?;
        let launcher = Launcher {
            program: std::env::current_exe()?,
            args: vec!["launcher".into()],
        };
        let options = ExecutorOptions {
            sandbox,
            cpus: 1,
            tuning: Vec::new(),
            compilers: Vec::new(),
            private: Vec::new(),
            default_timeout: Duration::from_secs(60),
            kept_work: None,
            launcher,
        };
        let executor = Executor::new(store, options)?;
        let mut overheads = Vec::with_capacity(times);
        let (mut stages, mut collects) = (Vec::new(), Vec::new());
        let mut walls = Vec::with_capacity(times);
        for _ in 0..times {
            let begun = Instant::now();
            let cancel = CancellationToken::new();
            // On a thread of the runtime, as in a worker.
            let (executor, task) = (executor.clone(), task.clone());
            let execution = runtime.block_on(async move {
                let run =
                    tokio::spawn(async move { executor.execute(&task, &cancel, &(), None).await });
                run.await
            })??;
            if !execution.succeeded() {
                return Err(String::from_utf8_lossy(&execution.result.log).into());
            }
            overheads.push(execution.overhead_us);
            let usage = execution.result.usage.unwrap_or_default();
            stages.push(usage.stage_us);
            collects.push(usage.collect_us);
            walls.push(begun.elapsed().as_micros() as u64);
        }
        overheads.sort_unstable();
        walls.sort_unstable();
        stages.sort_unstable();
        collects.sort_unstable();
        let at =
            |sorted: &[u64], part: usize| sorted[(sorted.len() * part / 100).min(sorted.len() - 1)];
        println!(
            "sandbox {sandbox:?}: {times} actions with {INPUTS} inputs, overhead in microseconds: median {}, p90 {}, p99 {} (staging {}, collecting {}); whole action: median {}",
            at(&overheads, 50),
            at(&overheads, 90),
            at(&overheads, 99),
            at(&stages, 50),
            at(&collects, 50),
            at(&walls, 50),
        );
    }
    Ok(())
}

/// An action as a compile is shaped: inputs, a written file, a tool, one output.
fn nothing(store: &DiskStore) -> Result<Task, Box<dyn std::error::Error>> {
    let mut inputs = Vec::new();
    for number in 0..INPUTS {
        let digest = store.put_bytes(format!("file {number}").as_bytes())?;
        inputs.push(v1::Input {
            path: format!("/__gofarm__/main/{number:04}.go"),
            source: Some(input::Source::Digest(digest.into())),
            ..Default::default()
        });
    }
    let step = |step| v1::Step {
        step: Some(step),
        ..Default::default()
    };
    let action = v1::Action {
        label: "nothing".to_owned(),
        steps: vec![
            step(step::Step::WriteFile(v1::WriteFile {
                path: "/__gofarm__/w/importcfg".to_owned(),
                content: b"packagefile fmt=/__gofarm__/main/0000.go\n".to_vec(),
            })),
            step(step::Step::Run(v1::Run {
                argv: vec!["true".to_owned()],
                cwd: "/__gofarm__/w".to_owned(),
                ..Default::default()
            })),
        ],
        inputs,
        outputs: vec![v1::Output {
            name: "importcfg".to_owned(),
            path: "/__gofarm__/w/importcfg".to_owned(),
            ..Default::default()
        }],
        env: vec![v1::EnvVar {
            name: "PATH".to_owned(),
            value: "/usr/bin:/bin".to_owned(),
        }],
        host_tools: true,
        ..Default::default()
    };
    let definition = store.put_bytes(&action.encode_to_vec())?;
    Ok(Task {
        key: ActionKey::new(&definition, []),
        definition,
        produced: Vec::new(),
        exclusive: false,
    })
}
