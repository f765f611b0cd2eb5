//! A farm of one process.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gofarm_engine::core::{BuildOptions, BuildSpec};
use gofarm_proto::Digest;
use gofarm_queue::{BlobPresence, InProcessQueue, LeaseQueue, MonotonicClock, QueueOptions};
use gofarm_store::DiskStore;
use gofarm_worker::{
    Executor, ExecutorOptions, KeptWork, Launcher, SandboxMode, SandboxState, WorkerLoop,
    WorkerOptions, go_tools, machine,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::farm::build::{Build, Finished};
use crate::farm::driver::{Driver, Start};
use crate::farm::source::{QueueSource, WorkerWatch};
use crate::farm::upload::Uploader;

const POOL: &str = "embedded";
/// Left to the system and to this process, of the memory that is there.
const RESERVED_MEMORY: u64 = 512 << 20;
/// `go build` has no limit for an action; this one only ends what hangs.
const ACTION_TIMEOUT: Duration = Duration::from_secs(2 * 60 * 60);

/// How an embedded farm works.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// Actions at once; `None` for as many as there are CPUs.
    pub workers: Option<usize>,
    /// Whether actions see nothing but what they declare.
    pub sandbox: SandboxMode,
    /// The compilers that the build names: see [`ExecutorOptions::compilers`].
    pub compilers: Vec<String>,
    /// What actions see of only as inputs: see [`ExecutorOptions::private`].
    pub private: Vec<PathBuf>,
    /// How to start this program as a launcher.
    pub launcher: Launcher,
    /// Where scratch folders are kept.
    pub kept_work: Option<KeptWork>,
}

/// A farm of one process: one worker over the store's own folder, so nothing is copied or sent.
#[derive(Debug)]
pub struct Embedded {
    store: DiskStore,
    options: EmbeddedOptions,
}

impl Embedded {
    /// A farm over this store. Nothing is started before there is something to execute.
    pub fn new(store: DiskStore, options: EmbeddedOptions) -> Embedded {
        Embedded { store, options }
    }

    /// Builds a bound plan to its end, or until `cancel` is cancelled.
    pub async fn build(
        &self,
        build: Build<'_>,
        cancel: &CancellationToken,
    ) -> anyhow::Result<Finished> {
        let options = BuildOptions {
            keep_going: build.choices.keep_going,
            no_cache: build.choices.no_cache,
            user: "".into(),
            pool: POOL.into(),
            by_platform: false,
        };
        let spec = BuildSpec::from_graph(build.id, options, build.graph, |node| {
            build.history.estimate(&node.package, node.kind())
        })?;
        let queue: Arc<dyn LeaseQueue> = Arc::new(InProcessQueue::new(
            QueueOptions::default(),
            Arc::new(MonotonicClock::new()),
            Arc::new(Presence(self.store.clone())),
        ));
        let mut crew = Crew {
            farm: self,
            queue: queue.clone(),
            watch: build.worker_watch,
            drain: CancellationToken::new(),
            running: Vec::new(),
            coming: None,
        };
        let driver = Driver::new(
            &self.store,
            queue,
            Uploader::new(self.store.clone(), build.supply),
            build.watch,
            &mut crew,
            build.graph,
        );
        let finished = driver.run(spec, build.id, cancel).await;
        crew.stop(finished.is_ok()).await;
        finished
    }

    /// Begins to make an executor: it tries out a sandbox, while this thread uploads what the first actions read.
    fn begin(&self) -> Coming {
        let machine = machine();
        let options = &self.options;
        let slots = options.workers.unwrap_or(machine.cpus).max(1);
        let memory = machine
            .memory_available
            .saturating_sub(RESERVED_MEMORY)
            .max(RESERVED_MEMORY);
        let store = self.store.clone();
        let options = ExecutorOptions {
            sandbox: options.sandbox,
            cpus: machine.cpus,
            tuning: tuning(memory, slots),
            compilers: options.compilers.clone(),
            private: options.private.clone(),
            default_timeout: ACTION_TIMEOUT,
            launcher: options.launcher.clone(),
            kept_work: options.kept_work.clone(),
        };
        Coming {
            slots,
            memory,
            executor: std::thread::spawn(move || Executor::new(store, options)),
        }
    }
}

/// The worker of one build, from the moment when there is work.
struct Crew<'a> {
    farm: &'a Embedded,
    queue: Arc<dyn LeaseQueue>,
    watch: Arc<dyn WorkerWatch>,
    drain: CancellationToken,
    running: Vec<JoinHandle<()>>,
    coming: Option<Coming>,
}

/// What an executor is about to be, while another thread makes it.
struct Coming {
    slots: usize,
    memory: u64,
    executor: std::thread::JoinHandle<gofarm_worker::Result<Executor>>,
}

impl Start for Crew<'_> {
    fn expect(&mut self) {
        if self.coming.is_none() {
            self.coming = Some(self.farm.begin());
        }
    }

    fn start(&mut self) -> anyhow::Result<Option<String>> {
        let coming = self.coming.take().unwrap_or_else(|| self.farm.begin());
        let Coming {
            slots,
            memory,
            executor,
        } = coming;
        let executor = match executor.join() {
            Ok(executor) => executor?,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        let warning = match executor.sandbox() {
            SandboxState::Unavailable { reason } => Some(format!(
                "actions run without a sandbox, because this machine allows none: {reason}"
            )),
            SandboxState::Active | SandboxState::Off => None,
        };
        let source = QueueSource::new(
            self.queue.clone(),
            POOL.into(),
            slots,
            memory,
            self.watch.clone(),
        );
        let worker = WorkerLoop::new(executor, Arc::new(source), WorkerOptions { slots, memory });
        let drain = self.drain.clone();
        self.running
            .push(tokio::spawn(async move { worker.run(&drain).await }));
        Ok(warning)
    }
}

impl Crew<'_> {
    /// Lets the worker go home; kills what still runs when the build came to no proper end.
    async fn stop(&mut self, finished: bool) {
        self.drain.cancel();
        if let Some(coming) = self.coming.take() {
            // Nothing was executed after all. What it has made goes before the store does.
            drop(coming.executor.join());
        }
        for running in self.running.drain(..) {
            if !finished {
                running.abort();
            }
            let _ = running.await;
        }
    }
}

/// What the user says of the collector counts, as it does for `go build`.
fn tuning(memory: u64, slots: usize) -> Vec<(String, String)> {
    let said: Vec<(String, String)> = ["GOGC", "GOMEMLIMIT"]
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
        .collect();
    if said.is_empty() {
        go_tools(memory, slots)
    } else {
        said
    }
}

/// The store, asked by the queue before it believes a result.
struct Presence(DiskStore);

#[async_trait]
impl BlobPresence for Presence {
    async fn missing(&self, digests: &[Digest]) -> Result<Vec<Digest>, String> {
        self.0
            .missing(digests.iter())
            .map_err(|error| error.to_string())
    }
}
