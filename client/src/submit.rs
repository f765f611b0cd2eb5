//! `gofarm submit`: from the command line to programs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use gofarm_engine::core::{BuildId, BuildResult, BuildSummary, Failure};
use gofarm_plan::{
    BoundPlan, GoCommand, Plan, PlanError, PlanRequest, Planned, Planner, SourceFiles, Unremembered,
};
use gofarm_rpc::{BlobError, RpcError};
use gofarm_store::{DiskStore, DiskStoreOptions, FileIndex, History, StoreError};
use gofarm_worker::{ExecuteError, KeptWork, Launcher, SandboxMode, with_causes};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::cli::{
    self, Environment, ExitCode, FarmSettings, SandboxChoice, SubmitOptions, SubmitRequest,
    UsageError,
};
use crate::console::{Console, Planning, Showing};
use crate::farm::{
    Build, BuildWatch, Choices, Embedded, EmbeddedOptions, Farm, Fetched, Finished, Remote,
    Stopped, Supply,
};
use crate::folder::chosen_folder;
use crate::kept_work;
use crate::outline::{Asked, Outline};
use crate::output::{self, Blobs};
use crate::report::{Bytes, NoTerminal, Outcome, Summary};
use crate::say;

/// How often a build is done again because a blob was lost between the build and the writing of programs.
const ATTEMPTS: usize = 3;
/// How long a farm has for a sign of life before the build is done here, and where nothing else can be done.
const REACH: Duration = Duration::from_secs(3);
const INSIST: Duration = Duration::from_secs(10);

/// Everything that a build works with, opened once.
pub struct Workplace {
    /// What the user wants.
    pub options: SubmitOptions,
    /// The `go` command in the user's folder.
    pub go: GoCommand,
    store: DiskStore,
    index: Arc<FileIndex>,
    history: History,
    /// The farm that was named.
    farm_settings: Option<FarmSettings>,
    /// The client's own part of the cache folder.
    folder: PathBuf,
    /// Scripts that may be C compilers.
    compilers: Vec<PathBuf>,
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
        return workplace.show_plan(started);
    }
    Ok(workplace.build(None, started)?.code)
}

impl Workplace {
    /// Reads the options in the user's folder and opens the cache.
    pub fn open(request: &SubmitRequest, environment: &Environment) -> anyhow::Result<Workplace> {
        let cwd = chosen_folder(request.chdir())?;
        let go = GoCommand::new(&cwd);
        let options = request.options(&go.flags()?, environment)?.rooted_at(&cwd);
        cli::require_declared(&go, options.toolexec.as_deref(), environment)?;
        let compilers = cli::declared_compilers(&go, environment)?;
        let farm_settings = options.server.settings(&go.cwd, environment)?;
        check_place(&options, farm_settings.as_ref())?;
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
            farm_settings,
            folder,
            compilers,
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
            compilers: self.compilers.clone(),
        }
    }

    fn planner(&self) -> Planner {
        Planner::new(self.go.clone(), self.folder.join("plans"))
    }

    /// The plan with the digests of its files; planned anew when a remembered plan names files that are gone, and when nothing
    /// that is remembered may be used.
    fn bind(&self) -> Result<(Planned, BoundPlan), PlanError> {
        let request = self.plan_request();
        let planner = self.planner();
        let mut files = SourceFiles::new(&self.index);
        let mut planned = match self.options.no_cache {
            true => planner.plan_anew(&request, &mut files)?,
            false => planner.plan(&request, &mut files)?,
        };
        let fooled = files.fooled();
        let mut bound = planned.plan.bind(&mut files);
        let is_stale = match planned.reused {
            true => bound.is_err(),
            // Only now it is known that cmd/go took a file for what it was before.
            false => files.fooled() && !fooled,
        };
        if is_stale {
            planned = planner.plan_anew(&request, &mut files)?;
            bound = planned.plan.bind(&mut files);
        }
        Ok((planned, bound?))
    }

    /// -n: the commands, with virtual paths, and what each action reads.
    fn show_plan(&self, started: Instant) -> anyhow::Result<ExitCode> {
        let planned = self.bind();
        if let Some(path) = &self.options.summary_json {
            let outcome = match &planned {
                Ok(_) => Outcome::Succeeded,
                Err(_) => Outcome::Failed,
            };
            let time = started.elapsed();
            let summary = Summary {
                plan_reused: planned.as_ref().is_ok_and(|(planned, _)| planned.reused),
                ..Summary::without_actions(new_id(), outcome, time, time)
            };
            summary.write(path)?;
        }
        let (mut planned, _) = planned?;
        let _remembering = self.remember_plan(planned.unremembered.take());
        for note in &planned.plan.notes {
            say::err(&format!("{note}\n"));
        }
        say::err(&planned.plan.script());
        Ok(ExitCode::Success)
    }

    /// Builds, tells the user, and writes programs: below `instead` when given, else where the user wants them.
    pub fn build(&self, instead: Option<&Path>, started: Instant) -> anyhow::Result<Done> {
        let keep_work = self.options.keep_work;
        let kept_work = keep_work.then(|| kept_work::folder(&self.go)).transpose()?;
        let session = self.store.session()?;
        let planned = self.bind();
        let mut id = new_id();
        let plan_time = started.elapsed();
        if let (Err(_), Some(path)) = (&planned, &self.options.summary_json) {
            Summary::without_actions(id, Outcome::Failed, plan_time, plan_time).write(path)?;
        }
        let (mut planned, mut bound) = planned?;
        let _remembering = self.remember_plan(planned.unremembered.take());
        let outline = self.outline(&planned.plan, &bound, instead.is_some());
        let targets = output::targets(&outline, instead.unwrap_or(&self.go.cwd));
        for (node, target) in &targets {
            output::check_target(&outline, *node, target)?;
        }
        for node in outline.read_for(targets.keys().copied()) {
            bound.graph.nodes[node].requested = true;
        }
        let supply = Arc::new(Supply::new(&mut bound));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("starting the runtime")?;
        let planning = Planning {
            time: plan_time,
            reused: planned.reused,
        };
        let console = Console::new(
            self.showing(),
            &outline,
            &bound.graph,
            id,
            planning,
            started,
        )?;
        let mut console = console.naming(supply.clone());
        let cancel = CancellationToken::new();
        let deadline = self.options.timeout.map(|timeout| started + timeout);
        let reason =
            runtime.block_on(async { crate::console::watch_signals(cancel.clone(), deadline) });

        let mut choices = Choices {
            keep_going: self.options.keep_going,
            no_cache: self.options.no_cache,
        };
        let farm = self.farm(&runtime, &mut console, (&planned.plan, kept_work))?;
        let mut uploaded = 0;
        for attempt in 1.. {
            let worker_watch = console.worker_watch();
            let build = Build {
                id,
                graph: &bound.graph,
                outline: &outline,
                supply: supply.clone(),
                history: &self.history,
                choices,
                watch: &mut console,
                worker_watch,
                shows_logs: self.options.events.is_some(),
                shows_commands: self.options.print_commands,
            };
            if let (Farm::Remote(farm), true) = (&farm, self.options.detach) {
                let detached = runtime.block_on(farm.detach(build, &cancel));
                console.abandon();
                let code = match detached? {
                    true => {
                        say::out(&format!("{id}\n"))?;
                        ExitCode::Success
                    }
                    false => reason.get().unwrap_or(ExitCode::Interrupted),
                };
                return Ok(Done {
                    written: Vec::new(),
                    code,
                });
            }
            let mut finished = match runtime.block_on(farm.build(build, &cancel)) {
                Ok(finished) => finished,
                Err(error) => {
                    console.abandon();
                    return Err(error);
                }
            };
            uploaded += finished.uploaded;

            let fetched = match &farm {
                Farm::Remote(farm) => Some(Fetched::new(
                    farm,
                    &self.store,
                    runtime.handle().clone(),
                    cancel.clone(),
                )),
                Farm::Embedded(_) => {
                    self.remember(&planned.plan, &finished);
                    None
                }
            };
            let blobs: &dyn Blobs = match &fetched {
                Some(fetched) => fetched,
                None => &self.store,
            };
            let written = output::write_all(
                &outline,
                &finished,
                blobs,
                &targets,
                &self.folder.join("outputs"),
            );
            let (written, bytes) = match written {
                Err(error) if is_lost_blob(&error) && attempt < ATTEMPTS => {
                    // Found damaged or lost only now; it has been set aside, so its action runs again.
                    choices.no_cache = false;
                    id = new_id();
                    console.renamed(id);
                    continue;
                }
                Err(error) if error.is::<Stopped>() => {
                    finished.summary.result = BuildResult::Cancelled;
                    (Vec::new(), 0)
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
                uploaded,
                downloaded: fetched.as_ref().map_or(bytes, Fetched::bytes),
            };
            console.finish(&finished.summary, stopped, bytes, written.len())?;
            if keep_work {
                kept_work::tell_missing(&finished.summary);
            }
            drop(session);
            let changed = match &farm {
                Farm::Embedded(_) => finished.summary.counts.executed > 0,
                Farm::Remote(_) => bytes.downloaded > 0,
            };
            if changed {
                self.store.evict()?;
            }
            runtime.shutdown_background();
            // The process is about to end: to give back a hundred thousand small pieces of memory takes milliseconds.
            std::mem::forget((planned.plan, bound, outline, self.index.clone()));
            return Ok(Done { written, code });
        }
        unreachable!("the loop ends by returning")
    }

    fn outline(&self, plan: &Plan, bound: &BoundPlan, elsewhere: bool) -> Outline {
        let asked = Asked {
            packages: &self.options.packages,
            folder: &self.go.cwd,
            output: self.options.output.as_deref().filter(|_| !elsewhere),
            print_commands: self.options.print_commands,
        };
        Outline::new(plan, bound, asked)
    }

    fn showing(&self) -> Showing {
        Showing {
            progress: self.options.progress,
            events: self.options.events.clone(),
            summary_json: self.options.summary_json.clone(),
            verbose: self.options.verbose,
            print_commands: self.options.print_commands,
            ..Showing::default()
        }
    }

    /// Keeps the plan and the digests of files, on a thread.
    fn remember_plan(&self, unremembered: Option<Result<Unremembered, String>>) -> Remembering {
        let index = self.index.clone();
        Remembering(Some(std::thread::spawn(move || {
            if let Some(Ok(unremembered)) = unremembered {
                // The next build plans again, which is slower and nothing else.
                let _ = unremembered.remember(&mut SourceFiles::new(&index));
            }
            // What was hashed now is hashed again next time if this cannot be kept.
            let _ = index.save();
        })))
    }

    /// The farm that builds: the one that was named, if it can be reached.
    fn farm(
        &self,
        runtime: &Runtime,
        console: &mut Console<'_>,
        (plan, kept_work): (&Plan, Option<KeptWork>),
    ) -> anyhow::Result<Farm> {
        let Some(settings) = &self.farm_settings else {
            return Ok(Farm::Embedded(self.embedded(plan, kept_work)?));
        };
        if let Some(flag) = &self.options.parallel {
            console.warn(&format!(
                "{flag} counts only for embedded builds: on a farm, the workers say how much runs at once"
            ));
        }
        let fallback = self.options.fallback && !self.options.detach;
        let patience = if fallback { REACH } else { INSIST };
        let reached = runtime.block_on(async {
            let remote = Remote::new(settings)?;
            remote.reach(patience).await?;
            Ok::<Remote, RpcError>(remote)
        });
        match reached {
            Ok(remote) => Ok(Farm::Remote(Box::new(remote))),
            Err(error) if error.is_transient() && fallback => {
                console.warn(&format!("{error}; this build goes on embedded"));
                Ok(Farm::Embedded(self.embedded(plan, kept_work)?))
            }
            Err(error) => {
                console.abandon();
                Err(error.into())
            }
        }
    }

    fn embedded(&self, plan: &Plan, kept_work: Option<KeptWork>) -> anyhow::Result<Embedded> {
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
                compilers: plan.compilers().into_iter().collect(),
                launcher: Launcher {
                    program,
                    args: vec![cli::SANDBOX_COMMAND.into()],
                },
                kept_work,
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

/// Refuses what the place where the build is to be done cannot heed.
fn check_place(options: &SubmitOptions, farm: Option<&FarmSettings>) -> Result<(), UsageError> {
    match (farm, &options.embedded_only) {
        (Some(farm), Some(flag)) => Err(UsageError::new(format!(
            "gofarm: {flag} is for embedded builds only, and {} would build: its workers have their own --slots and \
             --sandbox; leave it out, or build here with --server=off",
            farm.server
        ))),
        (Some(farm), None) if options.keep_work => Err(UsageError::new(format!(
            "gofarm: -work is for embedded builds only, and {} would build: the folders of actions are on its workers; leave \
             it out, or build here with --server=off",
            farm.server
        ))),
        (None, _) if options.detach => Err(UsageError::new(
            "gofarm: --detach needs a farm that the build can be left to; name one with --server",
        )),
        _ => Ok(()),
    }
}

fn new_id() -> BuildId {
    BuildId(uuid::Uuid::new_v4().as_u128())
}

fn is_lost_blob(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<StoreError>()
            .is_some_and(StoreError::is_lost_blob)
    })
}

/// The worst of what failed decides.
pub fn exit_code(summary: &BuildSummary, failures: &[Arc<Failure>]) -> ExitCode {
    match summary.result {
        BuildResult::Succeeded => return ExitCode::Success,
        BuildResult::Cancelled => return ExitCode::Interrupted,
        BuildResult::Failed => {}
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
        return (usage.exit_code(), usage.to_string());
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
        if let Some(farm) = cause.downcast_ref::<RpcError>() {
            return Some(class_of(farm));
        }
        if let Some(BlobError::Rpc(farm)) = cause.downcast_ref::<BlobError>() {
            return Some(class_of(farm));
        }
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
        Some(gofarm_store::ErrorClass::User) if is_setting(error) => ExitCode::Usage,
        _ if error.to_string().starts_with("internal error") => ExitCode::Defect,
        _ => ExitCode::Environment,
    };
    (code, format!("gofarm: {}", with_causes(error.as_ref())))
}

fn class_of(error: &RpcError) -> gofarm_store::ErrorClass {
    match error {
        // What a farm asks of those who use it is not a matter of the command line alone.
        RpcError::Token { .. } => gofarm_store::ErrorClass::Environment,
        error => error.class(),
    }
}

/// Whether the farm's address, token or certificates were written wrong.
fn is_setting(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.is::<RpcError>())
}
