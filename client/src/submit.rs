//! `gofarm submit`: from the command line to programs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Instant, SystemTime};

use anyhow::Context;
use gofarm_plan::{
    BoundPlan, GoCommand, Plan, PlanError, PlanRequest, Planned, Planner, SourceFiles, Unremembered,
};
use gofarm_scheduler::core::{BuildId, BuildResult, BuildSummary, Failure};
use gofarm_store::{DiskStore, DiskStoreOptions, FileIndex, History, StoreError};
use gofarm_worker::{ExecuteError, Launcher, SandboxMode};
use tokio_util::sync::CancellationToken;

use crate::causes::with_causes;
use crate::cli::{
    self, Environment, ExitCode, SandboxChoice, SubmitOptions, SubmitRequest, UsageError,
};
use crate::console::Console;
use crate::farm::{Build, Choices, Embedded, EmbeddedOptions, Finished, Uploader};
use crate::folder::working_folder;
use crate::output::{self, BuildIdentities};
use crate::report::{Bytes, NoTerminal, Outcome, Summary};

/// How often a build is done again because a blob was lost between the build and the writing of programs.
const ATTEMPTS: usize = 3;

/// Everything that a build works with, opened once.
pub struct Workplace {
    /// What the user wants.
    pub options: SubmitOptions,
    /// The `go` command in the user's folder.
    pub go: GoCommand,
    store: DiskStore,
    index: Arc<FileIndex>,
    history: History,
    /// The client's own part of the cache folder.
    folder: PathBuf,
}

/// A build that has been done.
pub struct Done {
    /// Where each program or archive is.
    pub written: Vec<PathBuf>,
    /// How it went.
    pub code: ExitCode,
}

/// The `submit` command.
pub fn command(request: &SubmitRequest, environment: &Environment) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let workplace = Workplace::open(request, environment)?;
    if workplace.options.dry_run {
        return workplace.show_plan();
    }
    Ok(workplace.build(None, started)?.code)
}

impl Workplace {
    /// Reads the options in the user's folder and opens the cache.
    pub fn open(request: &SubmitRequest, environment: &Environment) -> anyhow::Result<Workplace> {
        let mut cwd = working_folder()?;
        if let Some(folder) = request.chdir() {
            cwd = cwd.join(folder);
            if !cwd.is_dir() {
                return Err(UsageError::new(format!(
                    "gofarm: -C {}: no such folder",
                    folder.display()
                ))
                .into());
            }
        }
        let go = GoCommand::new(&cwd);
        let options = request.options(&go.flags()?, environment)?.rooted_at(&cwd);
        if options.keep_work {
            return Err(UsageError::new(
                "gofarm: -work is not supported: the folders of actions hold links into the cache and are removed; \
                 -x shows the commands",
            )
            .into());
        }
        let store = DiskStore::open(
            &options.cache_dir,
            DiskStoreOptions {
                max_bytes: options.cache_size,
                ..DiskStoreOptions::default()
            },
        )?;
        let folder = options.cache_dir.join("client");
        let now = SystemTime::now();
        Ok(Workplace {
            index: Arc::new(FileIndex::load(&folder.join("files"), now)?),
            history: History::load(&folder.join("history"), now)?,
            folder,
            store,
            options,
            go,
        })
    }

    fn plan_request(&self) -> PlanRequest {
        PlanRequest {
            flags: self.options.plan_flags.clone(),
            output: self.options.output.clone(),
            packages: self.options.packages.clone(),
            trimpath: self.options.trimpath,
        }
    }

    fn planner(&self) -> Planner {
        Planner::new(self.go.clone(), self.folder.join("plans"))
    }

    /// The plan with the digests of its files; planned anew when a remembered plan names files that are gone.
    fn bind(&self) -> Result<(Planned, BoundPlan), PlanError> {
        let request = self.plan_request();
        let mut files = SourceFiles::new(&self.index);
        let mut planned = self.planner().plan(&request, &mut files)?;
        let mut bound = planned.plan.bind(&mut files);
        if bound.is_err() && planned.reused {
            planned = self.planner().plan_anew(&request)?;
            bound = planned.plan.bind(&mut files);
        }
        Ok((planned, bound?))
    }

    /// -n: the commands, with virtual paths, and what each action reads.
    fn show_plan(&self) -> anyhow::Result<ExitCode> {
        let (mut planned, _) = self.bind()?;
        let _remembering = self.remember_plan(planned.unremembered.take());
        let mut out = std::io::stderr().lock();
        for note in &planned.plan.notes {
            writeln!(out, "{note}")?;
        }
        out.write_all(planned.plan.script().as_bytes())?;
        Ok(ExitCode::Success)
    }

    /// Builds, tells the user, and writes programs: below `instead` when given, else where the user wants them.
    pub fn build(&self, instead: Option<&Path>, started: Instant) -> anyhow::Result<Done> {
        let session = self.store.session()?;
        let planned = self.bind();
        let id = BuildId(uuid::Uuid::new_v4().as_u128());
        let plan_time = started.elapsed();
        if let (Err(_), Some(path)) = (&planned, &self.options.summary_json) {
            Summary::without_actions(id, Outcome::Failed, plan_time, plan_time).write(path)?;
        }
        let (mut planned, mut bound) = planned?;
        let _remembering = self.remember_plan(planned.unremembered.take());
        let plan_ms = plan_time.as_millis() as u64;
        let targets = match instead {
            Some(folder) => output::targets(&planned.plan, folder, None, &self.options.packages),
            None => output::targets(
                &planned.plan,
                &self.go.cwd,
                self.options.output.as_deref(),
                &self.options.packages,
            ),
        };
        for target in targets.values() {
            output::check_target(target)?;
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("starting the runtime")?;
        let mut console = Console::new(
            &self.options,
            &self.go.cwd,
            &planned,
            &bound,
            id,
            plan_ms,
            started,
        )?;
        let mut uploader = Uploader::new(self.store.clone(), &mut bound);
        let cancel = CancellationToken::new();
        let deadline = self.options.timeout.map(|timeout| started + timeout);
        let reason =
            runtime.block_on(async { crate::console::watch_signals(cancel.clone(), deadline) });

        let mut choices = Choices {
            keep_going: self.options.keep_going,
            no_cache: self.options.no_cache,
        };
        let farm = self.farm()?;
        for attempt in 1.. {
            let worker_watch = console.worker_watch();
            let finished = runtime.block_on(farm.build(
                Build {
                    id,
                    bound: &bound,
                    uploader: &mut uploader,
                    history: &self.history,
                    choices,
                    watch: &mut console,
                    worker_watch,
                },
                &cancel,
            ));
            let finished = match finished {
                Ok(finished) => finished,
                Err(error) => {
                    console.abandon();
                    return Err(error);
                }
            };
            self.remember(&planned.plan, &finished);

            let written = self.write(&planned.plan, &bound, &finished, &targets);
            let (written, downloaded) = match written {
                Err(error) if is_lost_blob(&error) && attempt < ATTEMPTS => {
                    // Found damaged only now; it has been set aside, so its action runs again.
                    choices.no_cache = false;
                    continue;
                }
                Err(error) => {
                    console.abandon();
                    return Err(error);
                }
                Ok(written) => written,
            };
            let stopped = reason.get();
            let code = stopped.unwrap_or_else(|| exit_code(&finished.summary, console.failures()));
            let bytes = Bytes {
                uploaded: uploader.uploaded(),
                downloaded,
            };
            console.finish(&finished.summary, stopped, bytes, written.len())?;
            drop(session);
            if finished.summary.counts.executed > 0 {
                self.store.evict()?;
            }
            runtime.shutdown_background();
            return Ok(Done { written, code });
        }
        unreachable!("the loop ends by returning")
    }

    /// Keeps the plan and the digests of files, on a thread.
    fn remember_plan(&self, unremembered: Option<Unremembered>) -> Remembering {
        let index = self.index.clone();
        Remembering(Some(std::thread::spawn(move || {
            if let Some(unremembered) = unremembered {
                unremembered.remember(&mut SourceFiles::new(&index));
            }
            // What was hashed now is hashed again next time if this cannot be kept.
            let _ = index.save();
        })))
    }

    fn farm(&self) -> anyhow::Result<Embedded> {
        // Stays this program when its file is replaced while it runs.
        let own = Path::new("/proc/self/exe");
        let program = if own.exists() {
            own.to_path_buf()
        } else {
            std::env::current_exe().context("finding this program's own file")?
        };
        Ok(Embedded::new(
            self.store.clone(),
            EmbeddedOptions {
                workers: self.options.workers,
                sandbox: match self.options.sandbox {
                    SandboxChoice::Auto => SandboxMode::Auto,
                    SandboxChoice::Required => SandboxMode::Required,
                    SandboxChoice::Off => SandboxMode::Off,
                },
                launcher: Launcher {
                    program,
                    args: vec![cli::SANDBOX_COMMAND.into()],
                },
            },
        ))
    }

    /// Keeps what was measured for the next build's order.
    fn remember(&self, plan: &Plan, finished: &Finished) {
        for index in &finished.executed {
            let (node, Some(result)) = (&plan.nodes[*index], &finished.results[*index]) else {
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

    fn write(
        &self,
        plan: &Plan,
        bound: &BoundPlan,
        finished: &Finished,
        targets: &std::collections::BTreeMap<usize, PathBuf>,
    ) -> anyhow::Result<(Vec<PathBuf>, u64)> {
        let mut written = Vec::new();
        let mut bytes = 0;
        let identities = BuildIdentities::new(plan, bound, &finished.results, &self.store);
        for (&node, target) in targets {
            if finished.results[node].is_some() && finished.summary.result != BuildResult::Cancelled
            {
                bytes += output::write(&identities, node, target, &self.folder.join("outputs"))?;
                written.push(target.clone());
            }
        }
        Ok((written, bytes))
    }
}

/// Something that is written beside the build. Waited for before the process ends, however it does.
struct Remembering(Option<JoinHandle<()>>);

impl Drop for Remembering {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            let _ = thread.join();
        }
    }
}

fn is_lost_blob(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<StoreError>()
            .is_some_and(StoreError::is_lost_blob)
    })
}

/// The worst of what failed decides.
fn exit_code(summary: &BuildSummary, failures: &[Arc<Failure>]) -> ExitCode {
    if summary.result == BuildResult::Succeeded {
        return ExitCode::Success;
    }
    failures
        .iter()
        .map(|failure| failure.class())
        .max()
        .map_or(ExitCode::BuildFailed, ExitCode::from)
}

/// The exit code of an error, and what the user reads.
pub fn explain(error: &anyhow::Error) -> (ExitCode, String) {
    if let Some(usage) = error.downcast_ref::<UsageError>() {
        return (ExitCode::Usage, usage.to_string());
    }
    if let Some(display) = error.downcast_ref::<NoTerminal>() {
        return (ExitCode::Usage, format!("gofarm: {display}"));
    }
    if let Some(plan) = error.downcast_ref::<PlanError>() {
        let code = match (plan, plan.class()) {
            (PlanError::Unsupported { .. }, _) => ExitCode::Usage,
            (_, gofarm_plan::Class::User) => ExitCode::BuildFailed,
            (_, gofarm_plan::Class::Environment) => ExitCode::Environment,
            (_, gofarm_plan::Class::Bug) => ExitCode::Defect,
        };
        let text = match plan {
            // cmd/go's own words, as go build prints them.
            PlanError::Go { text, .. } => text.clone(),
            other => format!("gofarm: {other}"),
        };
        return (code, text);
    }
    let class = error.chain().find_map(|cause| {
        if let Some(store) = cause.downcast_ref::<StoreError>() {
            return Some(store.class());
        }
        cause
            .downcast_ref::<ExecuteError>()
            .map(|error| match error.class() {
                gofarm_worker::ErrorClass::User => gofarm_store::ErrorClass::User,
                gofarm_worker::ErrorClass::Environment => gofarm_store::ErrorClass::Environment,
                gofarm_worker::ErrorClass::Bug => gofarm_store::ErrorClass::Bug,
            })
    });
    let code = match class {
        Some(gofarm_store::ErrorClass::Bug) => ExitCode::Defect,
        _ if error.to_string().starts_with("internal error") => ExitCode::Defect,
        _ => ExitCode::Environment,
    };
    (code, format!("gofarm: {}", with_causes(error.as_ref())))
}
