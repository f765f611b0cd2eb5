//! The life of one action on this machine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gofarm_proto::v1::{self, step::Step};
use gofarm_store::{DiskStore, Reading};
use tokio_util::sync::CancellationToken;

use super::native_step::NativeStep;
use super::options::{ExecutorOptions, SandboxMode, SandboxState};
use super::outcome::with_log;
use super::run_step::{RunEnd, RunStep};
use super::staged_action::StagedAction;
use super::tuning::RunningActions;
use crate::action::{Definition, ExecRoot};
use crate::blocking::blocking;
use crate::collection::collect;
use crate::error::{ExecuteError, Result};
use crate::logs::{Log, LogSink, PathsBack, TraceSink};
use crate::sandbox::{
    Finished, Private, SandboxView, Setup, Spawned, Tools, Workspace, Workspaces,
};
use crate::staging::{blobs_folder, references, require_inputs, shown, stage};
use crate::task::{Execution, Task};
use crate::tree::{ActionTree, StagedLinks, Trouble};

/// Executes actions over one store. Cheap to clone; any number of actions may run at once.
#[derive(Debug, Clone)]
pub struct Executor {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: DiskStore,
    options: ExecutorOptions,
    sandbox: SandboxState,
    view: SandboxView,
    /// Where programs of the machine are looked for when an action with `host_tools` has no PATH.
    path: String,
    workspaces: Arc<Workspaces>,
    running: Arc<RunningActions>,
}

/// A staged action. Dropped in this order: first the processes go, then the folders.
struct Prepared {
    spawned: Option<Spawned>,
    staged: Arc<StagedAction>,
    back: PathsBack,
    stage: Duration,
    reading: Reading,
    links: StagedLinks,
    workspace: Workspace,
}

/// What the steps have left behind.
#[derive(Default)]
struct Progress {
    exit_code: i32,
    content_id: String,
    undeclared: Vec<String>,
    /// The launcher's last word, which sums up all before.
    finished: Finished,
    tools_us: u64,
}

impl Executor {
    /// Tries out the launcher and, unless it is off, the sandbox.
    ///
    /// # Errors
    ///
    /// [`ExecuteError::SandboxUnavailable`] with [`SandboxMode::Required`]; [`ExecuteError::Launcher`] when the launcher is
    /// not one; and what the system says when a folder cannot be made.
    pub fn new(store: DiskStore, options: ExecutorOptions) -> Result<Executor> {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut private = options.private.clone();
        private.push(store.root().to_owned());
        let private = Private::of_this_process(&private);
        let mut inner = Inner {
            view: SandboxView::of_this_machine(&path, &options.compilers, &private),
            path,
            workspaces: Workspaces::new(&store.scratch_dir())?,
            running: Arc::default(),
            store,
            options,
            sandbox: SandboxState::Off,
        };
        inner.sandbox = inner.probe()?;
        Ok(Executor {
            inner: Arc::new(inner),
        })
    }

    /// Whether actions run in a sandbox, and why not.
    pub fn sandbox(&self) -> &SandboxState {
        &self.inner.sandbox
    }

    /// Runs the task's action to its end: stages, runs, collects, and leaves nothing behind but blobs.
    ///
    /// Output goes to `log` while it comes; `trace` is told of each command. The future may be dropped at any time; that is
    /// a cancellation that nobody hears of.
    ///
    /// # Errors
    ///
    /// See [`ExecuteError`]. A tool that fails is no error but a result with its exit code.
    pub async fn execute(
        &self,
        task: &Task,
        cancel: &CancellationToken,
        log: &dyn LogSink,
        trace: Option<&dyn TraceSink>,
    ) -> Result<Execution> {
        if cancel.is_cancelled() {
            return Err(ExecuteError::Cancelled);
        }
        let begun = Instant::now();
        let _running = self.inner.running.enter();
        let (inner, task) = (self.inner.clone(), task.clone());
        let prepared = blocking(move || inner.prepare(&task)).await?;
        let Prepared {
            spawned,
            staged,
            back,
            stage,
            reading,
            links,
            mut workspace,
        } = prepared;
        let mut log = Log::new(log, back, self.inner.store.clone());
        // Declared after the workspace, so it goes first, however this function is left.
        let mut tools = spawned.map(Tools::adopt).transpose()?;
        let started = Instant::now();
        let limit = match staged.definition.action.timeout_ms {
            0 => self.inner.options.default_timeout,
            ms => Duration::from_millis(ms),
        };
        let run = RunStep {
            staged: &staged,
            machine_path: &self.inner.path,
            cpus: self.inner.options.cpus,
            running: &self.inner.running,
            tuning: &self.inner.options.tuning,
            trace,
            cancel,
            limit,
            deadline: started + limit,
            view: matches!(self.inner.sandbox, SandboxState::Active).then_some(&self.inner.view),
        };
        let outcome = self.steps(&run, tools.as_mut(), &mut log).await;
        let wall = started.elapsed();
        if let (Err(_), Some(tools)) = (&outcome, &tools) {
            tools.hang_up();
        }
        let label = staged.definition.action.label.clone();
        let store = self.inner.store.clone();
        let (kept_work, kept_as) = (self.inner.options.kept_work.clone(), label.clone());
        // Whatever the outcome: waiting for processes to go, and removing folders, may take a while.
        let (progress, outputs, collect_time) = blocking(move || {
            // First, because outputs are moved from there.
            let kept = match &kept_work {
                Some(kept_work) => kept_work.keep(&kept_as, &staged.tree),
                None => Ok(()),
            };
            let begun = Instant::now();
            // Whatever came of it, a crash too: of inputs that were changed nothing is told to anybody.
            let believed = match outcome {
                Err(ExecuteError::Cancelled) => Err(ExecuteError::Cancelled),
                outcome => unchanged(&store, &reading).and(outcome),
            };
            let collected = believed.and_then(|progress| {
                kept?;
                let outputs = match progress.exit_code {
                    0 => {
                        let StagedAction {
                            definition,
                            root,
                            tree,
                            ..
                        } = &*staged;
                        collect(definition, root, tree)?
                    }
                    _ => Vec::new(),
                };
                Ok((progress, outputs, begun.elapsed()))
            });
            links.remove(&store);
            match &collected {
                Ok((progress, ..)) if !progress.finished.escaped => {
                    workspace.settle();
                    if let Some(launcher) = tools.and_then(Tools::release) {
                        workspace.keep(launcher);
                    }
                }
                // An action that was broken off may have left anything.
                _ => drop(tools),
            }
            drop(workspace);
            collected
        })
        .await?;
        let printed = match progress.exit_code {
            0 => log.finish().settle().await?,
            _ => log.finish().settle_failed().await?,
        };
        let micros = |time: Duration| time.as_micros() as u64;
        let result = v1::ActionResult {
            outputs,
            exit_code: progress.exit_code,
            content_id: progress.content_id,
            usage: Some(v1::Usage {
                wall_ms: wall.as_millis() as u64,
                user_ms: progress.finished.user_us / 1000,
                system_ms: progress.finished.system_us / 1000,
                peak_memory: progress.finished.peak_memory,
                stage_us: micros(stage),
                collect_us: micros(collect_time),
            }),
            ..v1::ActionResult::default()
        };
        Ok(Execution {
            result: with_log(result, printed),
            label,
            undeclared: progress.undeclared,
            overhead_us: micros(begun.elapsed()).saturating_sub(progress.tools_us),
        })
    }

    /// Performs the steps in order, up to the first that fails.
    async fn steps(
        &self,
        run: &RunStep<'_>,
        mut tools: Option<&mut Tools>,
        log: &mut Log<'_>,
    ) -> Result<Progress> {
        let mut progress = Progress::default();
        let mut ready = false;
        let action = &run.staged.definition.action;
        for step in &action.steps {
            let skip = &step.skip_if_exists;
            if !skip.is_empty() {
                let there = run.staged.tree.exists(skip);
                let folder = run.staged.root.folder();
                if there.map_err(|trouble| trouble.into_error(&action.label, folder))? {
                    continue;
                }
            }
            match (&step.step, tools.as_deref_mut()) {
                (Some(Step::Run(step)), Some(tools)) => {
                    if !ready {
                        if let Err(why) = tools.ready(run.cancel, run.deadline).await {
                            return Err(run.interrupted(why, "the launcher", tools, log).await);
                        }
                        ready = true;
                    }
                    let RunEnd {
                        finished,
                        exit_code,
                        undeclared,
                    } = run.perform(step, tools, log).await?;
                    progress.tools_us += finished.wall_us;
                    progress.finished = finished;
                    if exit_code != 0 {
                        progress.exit_code = exit_code;
                        progress.undeclared = undeclared;
                        return Ok(progress);
                    }
                }
                (Some(native), _) => {
                    if let Some(content_id) = self.native(run, native).await? {
                        progress.content_id = content_id;
                    }
                }
                // Refused when the definition was checked.
                (None, _) => {}
            }
            if run.cancel.is_cancelled() {
                return Err(ExecuteError::Cancelled);
            }
        }
        Ok(progress)
    }

    async fn native(&self, run: &RunStep<'_>, step: &Step) -> Result<Option<String>> {
        let (staged, step) = (run.staged.clone(), step.clone());
        blocking(move || {
            let StagedAction {
                definition,
                root,
                tree,
                references,
            } = &*staged;
            let native = NativeStep {
                definition,
                root,
                tree,
                references,
            };
            native.perform(&step).map_err(|trouble| match trouble {
                Trouble::Io { what, source } => ExecuteError::NativeStep {
                    label: definition.action.label.clone(),
                    problem: format!("{what}: {source}"),
                },
                trouble => trouble.into_error(&definition.action.label, root.folder()),
            })
        })
        .await
    }
}

impl Inner {
    fn probe(&self) -> Result<SandboxState> {
        let mut workspace = self.workspaces.take()?;
        // Nothing runs here but launchers.
        workspace.settle();
        let attempt = |setup: &Setup| {
            let spawned = Spawned::start(&self.options.launcher, setup)?;
            spawned.probe().map_err(|error| {
                ExecuteError::Launcher(format!(
                    "{}: {error}",
                    self.options.launcher.program.display()
                ))
            })
        };
        let mut state = SandboxState::Off;
        if self.options.sandbox != SandboxMode::Off {
            let store = blobs_folder(&self.store);
            let sandbox = Some(self.view.sandbox(&workspace, Some(&store), true, &[]));
            match (attempt(&Setup { sandbox })?, self.options.sandbox) {
                (Ok(launcher), _) => {
                    // The first action that sees as much has it.
                    workspace.keep(launcher);
                    return Ok(SandboxState::Active);
                }
                (Err(reason), SandboxMode::Required) => {
                    return Err(ExecuteError::SandboxUnavailable { reason });
                }
                (Err(reason), _) => state = SandboxState::Unavailable { reason },
            }
        }
        let launcher = attempt(&Setup::default())?.map_err(ExecuteError::Launcher)?;
        workspace.keep(launcher);
        Ok(state)
    }

    fn prepare(&self, task: &Task) -> Result<Prepared> {
        let begun = Instant::now();
        let bytes = self.store.read(&task.definition)?;
        let definition = Definition::resolve(&task.definition, &bytes, &task.produced)?;
        let reading = require_inputs(&self.store, &definition)?;
        let mut workspace = self.workspaces.take()?;
        let prepared = self.prepare_in(&mut workspace, definition);
        // A failure that comes before anything has run.
        if prepared.is_err() {
            workspace.settle();
        }
        let (spawned, staged, back, links) = prepared?;
        Ok(Prepared {
            spawned,
            staged: Arc::new(staged),
            back,
            stage: begun.elapsed(),
            reading,
            links,
            workspace,
        })
    }

    fn prepare_in(
        &self,
        workspace: &mut Workspace,
        definition: Definition,
    ) -> Result<(Option<Spawned>, StagedAction, PathsBack, StagedLinks)> {
        let sandboxed = self.sandbox == SandboxState::Active;
        let root = match sandboxed {
            true => ExecRoot::mounted(workspace.exec()),
            false => ExecRoot::real(workspace.exec())?,
        };
        let action = &definition.action;
        let runs = action
            .steps
            .iter()
            .any(|step| matches!(step.step, Some(Step::Run(_))));
        let spawned = match runs {
            true => {
                let store = definition
                    .has_references()
                    .then(|| blobs_folder(&self.store));
                let sandbox = sandboxed.then(|| {
                    let store = store.as_deref();
                    self.view
                        .sandbox(workspace, store, action.host_tools, &action.places)
                });
                let setup = Setup { sandbox };
                Some(match workspace.launcher(&setup) {
                    Some(launcher) => launcher,
                    // Before staging, so that one takes place while the other does.
                    None => Spawned::start(&self.options.launcher, &setup)?,
                })
            }
            false => None,
        };
        let inputs = definition.inputs.iter().map(|input| input.digest).collect();
        let tree = ActionTree::new(workspace.tree(), self.store.clone(), inputs);
        let links = stage(&definition, &root, &tree, workspace)?;
        match sandboxed {
            true => shown::show(&definition, workspace)?,
            false => shown::require(&definition)?,
        }
        let (references, back) = references(&self.store, &definition, &root);
        let staged = StagedAction {
            definition,
            root,
            tree,
            references,
        };
        Ok((spawned, staged, back, links))
    }
}

/// Refuses an outcome when what the action read may not have been what it was verified to be.
fn unchanged(store: &DiskStore, reading: &Reading) -> Result<()> {
    let changed = store.changed(reading, Instant::now())?;
    match changed.is_empty() {
        true => Ok(()),
        false => Err(ExecuteError::InputsChanged(changed)),
    }
}
