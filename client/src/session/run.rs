//! A planned build under way, up to its end.

use anyhow::{Context, anyhow};
use gofarm_engine::core::{BuildId, BuildResult};
use gofarm_store::StoreError;
use gofarm_worker::KeptWork;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::planning::{Work, new_id};
use super::purpose::{Delivered, Purpose};
use super::{Session, kept_work};
use crate::blobs::Blobs;
use crate::cli::ExitCode;
use crate::console::Console;
use crate::ending::exit_code;
use crate::farm::{Build, Choices, Farm, Fetched, Finished, Stopped};
use crate::report::Bytes;
use crate::say;
use crate::signals::{StopReason, watch_signals};

/// A build is done so often at most, when blobs are lost between its end and the delivery of what it made.
const ATTEMPTS: usize = 3;

/// A build under way. Dropped in this order: the farm goes before what it runs on.
pub(super) struct Run<'w> {
    session: &'w Session,
    work: &'w Work,
    /// Changes when it is done again.
    id: BuildId,
    choices: Choices,
    farm: Farm,
    reason: StopReason,
    cancel: CancellationToken,
    console: Console<'w>,
    runtime: Runtime,
    /// Keeps what it uses in the store.
    using: gofarm_store::Pin,
}

impl<'w> Run<'w> {
    /// Shows that it begins, listens to signals, and reaches the farm. With `fallback`, one that cannot be reached is replaced by
    /// this process.
    pub fn start(
        session: &'w Session,
        work: &'w Work,
        kept_work: Option<KeptWork>,
        using: gofarm_store::Pin,
        fallback: bool,
    ) -> anyhow::Result<Run<'w>> {
        let options = &session.options;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("starting the runtime")?;
        let console = Console::new(
            options.showing.clone(),
            &work.outline,
            &work.bound.graph,
            work.id,
            work.planning,
            work.started,
        )?;
        let mut console = console.naming(work.supply.clone());
        let cancel = CancellationToken::new();
        let deadline = options.timeout.map(|timeout| work.started + timeout);
        let reason = runtime.block_on(async { watch_signals(cancel.clone(), deadline) });
        let farm = session.farm(&runtime, &mut console, (&work.plan, kept_work), fallback)?;
        Ok(Run {
            session,
            work,
            id: work.id,
            choices: Choices {
                keep_going: options.keep_going,
                no_cache: options.no_cache,
            },
            farm,
            reason,
            cancel,
            console,
            runtime,
            using,
        })
    }

    /// To the end, and again when something that was made is lost by then.
    pub fn build(mut self, purpose: &mut dyn Purpose) -> anyhow::Result<ExitCode> {
        let (session, work) = (self.session, self.work);
        let mut uploaded = 0;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let mut finished = self.once()?;
            uploaded += finished.uploaded;
            let fetched = match &self.farm {
                Farm::Remote(farm) => Some(Fetched::new(
                    farm,
                    &session.store,
                    self.runtime.handle().clone(),
                    self.cancel.clone(),
                )),
                Farm::Embedded(_) => {
                    session.remember(work, &finished);
                    None
                }
            };
            let blobs: &dyn Blobs = match &fetched {
                Some(fetched) => fetched,
                None => &session.store,
            };
            let delivered = match purpose.deliver(&work.outline, &finished, blobs) {
                Err(error) if is_lost_blob(&error) && attempts < ATTEMPTS => {
                    self.again();
                    continue;
                }
                Err(error) if error.is::<Stopped>() => {
                    finished.summary.result = BuildResult::Cancelled;
                    Delivered::default()
                }
                Err(error) => {
                    self.console.abandon();
                    return Err(error);
                }
                Ok(delivered) => delivered,
            };
            let bytes = Bytes {
                uploaded,
                downloaded: fetched.as_ref().map_or(delivered.bytes, Fetched::bytes),
            };
            return self.end(&finished, bytes, delivered.programs);
        }
    }

    /// Hands it over to the farm, without an end here.
    pub fn leave(mut self) -> anyhow::Result<ExitCode> {
        let id = self.id;
        let build = offer(self.session, self.work, id, self.choices, &mut self.console);
        let Farm::Remote(farm) = &self.farm else {
            self.console.abandon();
            return Err(anyhow!(
                "internal error: a build of this process cannot be left to itself"
            ));
        };
        let left = self.runtime.block_on(farm.detach(build, &self.cancel));
        self.console.abandon();
        match left? {
            true => {
                say::out(&format!("{id}\n"))?;
                Ok(ExitCode::Success)
            }
            false => Ok(self.reason.get().unwrap_or(ExitCode::Interrupted)),
        }
    }

    fn once(&mut self) -> anyhow::Result<Finished> {
        let build = offer(
            self.session,
            self.work,
            self.id,
            self.choices,
            &mut self.console,
        );
        let finished = self.runtime.block_on(self.farm.build(build, &self.cancel));
        if finished.is_err() {
            self.console.abandon();
        }
        finished
    }

    /// Something was found damaged or lost only now; it has been set aside, so its action runs again.
    fn again(&mut self) {
        self.choices.no_cache = false;
        self.id = new_id();
        self.console.renamed(self.id);
    }

    /// The last words.
    fn end(
        mut self,
        finished: &Finished,
        bytes: Bytes,
        programs: usize,
    ) -> anyhow::Result<ExitCode> {
        let stopped = self.reason.get();
        let code = stopped.unwrap_or_else(|| exit_code(&finished.summary, self.console.failures()));
        self.console
            .finish(&finished.summary, stopped, bytes, programs)?;
        if self.session.options.keep_work {
            kept_work::tell_missing(&finished.summary);
        }
        drop(self.using);
        let changed = match &self.farm {
            Farm::Embedded(_) => finished.summary.counts.executed > 0,
            Farm::Remote(_) => bytes.downloaded > 0,
        };
        if changed {
            self.session.store.evict()?;
        }
        self.runtime.shutdown_background();
        Ok(code)
    }
}

/// The build as a farm gets it.
fn offer<'b>(
    session: &'b Session,
    work: &'b Work,
    id: BuildId,
    choices: Choices,
    console: &'b mut Console<'_>,
) -> Build<'b> {
    let showing = &session.options.showing;
    let worker_watch = console.worker_watch();
    Build {
        id,
        graph: &work.bound.graph,
        outline: &work.outline,
        supply: work.supply.clone(),
        history: &session.history,
        choices,
        watch: console,
        worker_watch,
        shows_logs: showing.events.is_some(),
        shows_commands: showing.print_commands,
    }
}

impl Session {
    /// Where the scratch folders of actions are kept, if they are to be.
    pub(super) fn kept_work(&self) -> anyhow::Result<Option<KeptWork>> {
        let keep = self.options.keep_work;
        keep.then(|| kept_work::folder(&self.go)).transpose()
    }

    /// Keeps what was measured for the next build's order.
    fn remember(&self, work: &Work, finished: &Finished) {
        for index in &finished.executed {
            let (node, Some(result)) = (&work.plan.nodes[*index], &finished.results[*index]) else {
                continue;
            };
            let measured = gofarm_store::Estimate {
                duration_ms: result.duration_ms(),
                peak_memory: result.usage.peak_memory,
            };
            self.history
                .record(&node.action.package, node.action.kind(), measured);
        }
        // An order that is guessed once more is no harm.
        let _ = self.history.save();
    }
}

fn is_lost_blob(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<StoreError>()
            .is_some_and(StoreError::is_lost_blob)
    })
}
