//! What the user sees of a build while it runs: diagnostics, progress, and the files that were asked for.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use gofarm_plan::{BoundPlan, Plan, Planned};
use gofarm_proto::{ActionKey, Digest, v1};
use gofarm_scheduler::core::{
    ActionResult, BuildEvent, BuildId, BuildSummary, Failure, NodeEvent, NodeId, Resolution,
};
use gofarm_worker::TracedCommand;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::cli::{Environment, ExitCode, SubmitOptions};
use crate::farm::{BuildWatch, WorkerWatch};
use crate::report::{
    Built, Bytes, CgoText, Diagnostics, EventLog, Progress, Skipped, Subject, Summary,
};

/// Why a build was stopped from outside.
#[derive(Debug, Clone, Default)]
pub struct StopReason(Arc<OnceLock<ExitCode>>);

impl StopReason {
    /// The exit code that it means; `None` while nothing stopped the build.
    pub fn get(&self) -> Option<ExitCode> {
        self.0.get().copied()
    }
}

/// Cancels on Ctrl-C, SIGTERM, or when the time is up. A second signal ends the process at once.
pub fn watch_signals(cancel: CancellationToken, deadline: Option<Instant>) -> StopReason {
    let reason = StopReason::default();
    let stopped = reason.clone();
    tokio::spawn(async move {
        let (Ok(mut interrupt), Ok(mut terminate)) = (
            signal(SignalKind::interrupt()),
            signal(SignalKind::terminate()),
        ) else {
            return;
        };
        let time_up = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        let code = tokio::select! {
            _ = interrupt.recv() => ExitCode::Interrupted,
            _ = terminate.recv() => ExitCode::Interrupted,
            () = time_up => ExitCode::TimedOut,
        };
        let _ = stopped.0.set(code);
        cancel.cancel();
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        // The launchers die with this process and take their tools along.
        std::process::exit(i32::from(ExitCode::Interrupted.code()));
    });
    reason
}

/// Everything that is written to; one thread at a time.
struct Screen {
    progress: Progress,
    events: Option<EventLog<File>>,
    /// Of the tasks that were put into the queue.
    labels: HashMap<ActionKey, String>,
    print_commands: bool,
    started: Instant,
}

/// Shows one build.
pub struct Console<'p> {
    screen: Arc<Mutex<Screen>>,
    plan: &'p Plan,
    cwd: PathBuf,
    cgo_minor: u32,
    options: &'p SubmitOptions,
    /// By definition digest.
    definitions: HashMap<Digest, NodeId>,
    skipped: Skipped,
    failures: Vec<Arc<Failure>>,
    id: BuildId,
    plan_ms: u64,
    plan_reused: bool,
}

impl<'p> Console<'p> {
    /// Opens the files that the user asked for.
    pub fn new(
        options: &'p SubmitOptions,
        cwd: &Path,
        planned: &'p Planned,
        bound: &BoundPlan,
        id: BuildId,
        plan_ms: u64,
        started: Instant,
    ) -> anyhow::Result<Console<'p>> {
        let events = options
            .events
            .as_deref()
            .map(EventLog::create)
            .transpose()?;
        let mut progress = Progress::on_stderr(options.progress, &Environment::of_process())?;
        progress.stage("building");
        let mut definitions = HashMap::with_capacity(bound.graph.nodes.len());
        for (index, node) in bound.graph.nodes.iter().enumerate() {
            if let Some(Ok(digest)) = node.action.as_ref().map(Digest::try_from) {
                definitions.insert(digest, NodeId(index as u32));
            }
        }
        let console = Console {
            screen: Arc::new(Mutex::new(Screen {
                progress,
                events,
                labels: HashMap::new(),
                print_commands: options.print_commands,
                started,
            })),
            plan: &planned.plan,
            cwd: cwd.to_owned(),
            cgo_minor: minor(&planned.plan.go_version),
            options,
            definitions,
            skipped: Skipped::default(),
            failures: Vec::new(),
            id,
            plan_ms,
            plan_reused: planned.reused,
        };
        for note in &planned.plan.notes {
            console.print(format!("{note}\n").as_bytes());
        }
        Ok(console)
    }

    /// For the worker, which runs on other threads.
    pub fn worker_watch(&self) -> Arc<dyn WorkerWatch> {
        Arc::new(SharedScreen(self.screen.clone()))
    }

    /// Why nodes failed.
    pub fn failures(&self) -> &[Arc<Failure>] {
        &self.failures
    }

    /// Takes the progress display away, because something else is to be said.
    pub fn abandon(&self) {
        lock(&self.screen).progress.clear();
    }

    /// The last words: what was skipped, and the summary.
    pub fn finish(
        &mut self,
        build: &BuildSummary,
        stopped: Option<ExitCode>,
        bytes: Bytes,
        programs: usize,
    ) -> anyhow::Result<()> {
        let mut screen = lock(&self.screen);
        let summary = Summary::of_build(
            self.id,
            build,
            screen.started.elapsed(),
            Duration::from_millis(self.plan_ms),
            self.plan_reused,
            bytes,
        );
        screen.progress.clear();
        let ended_by = stopped.map(|code| match code {
            ExitCode::TimedOut => "timed out",
            _ => "interrupted",
        });
        let packages = self
            .plan
            .nodes
            .iter()
            .filter(|node| node.action.kind() == v1::Kind::Compile)
            .count();
        eprint!(
            "{}{}",
            self.skipped.lines(),
            summary.line(Built { programs, packages }, ended_by)
        );
        if let Some(events) = screen.events.take() {
            events.finished(SystemTime::now(), &summary)?;
        }
        if let Some(path) = &self.options.summary_json {
            summary.write(path)?;
        }
        Ok(())
    }

    fn print(&self, text: &[u8]) {
        if !text.is_empty() {
            lock(&self.screen).print(text);
        }
    }

    fn node_finished(&self, index: usize, how: Resolution, result: &ActionResult) {
        let node = &self.plan.nodes[index];
        if self.options.verbose
            && how == Resolution::Executed
            && node.action.kind() == v1::Kind::Compile
        {
            self.print(format!("{}\n", node.import_path).as_bytes());
        }
        if !result.log.is_empty() {
            let text = self.diagnostics(index, |diagnostics, subject, cgo| {
                diagnostics.block(subject, &result.log, cgo)
            });
            self.print(&text);
        }
    }

    fn node_failed(&mut self, index: usize, failure: &Arc<Failure>) {
        let text = match &**failure {
            Failure::Action { result } => self.diagnostics(index, |diagnostics, subject, cgo| {
                diagnostics.failure(subject, &result.log, cgo, None, result.exit_code)
            }),
            other => format!(
                "# {}\ngofarm: {other}\n",
                self.plan.nodes[index].action.package
            )
            .into_bytes(),
        };
        self.print(&text);
        self.failures.push(failure.clone());
    }

    fn diagnostics(
        &self,
        index: usize,
        render: impl Fn(&Diagnostics<'_>, &Subject<'_>, CgoText) -> Vec<u8>,
    ) -> Vec<u8> {
        let node = &self.plan.nodes[index];
        let diagnostics = Diagnostics {
            cwd: &self.cwd,
            real: &|root| self.plan.roots.to_real(root),
        };
        let folder = (!node.folder.is_empty()).then(|| Path::new(&node.folder));
        let subject = Subject {
            import_path: &node.import_path,
            description: &node.action.package,
            folder,
        };
        let uses_cgo = node.action.host_tools && node.action.kind() == v1::Kind::Compile;
        let cgo = CgoText::of_release(self.cgo_minor, uses_cgo, self.options.print_commands);
        render(&diagnostics, &subject, cgo)
    }
}

impl BuildWatch for Console<'_> {
    fn task(&mut self, key: &ActionKey, definition: &Digest) {
        if let Some(node) = self.definitions.get(definition) {
            let label = self.plan.nodes[node.0 as usize].action.label.clone();
            lock(&self.screen).labels.insert(*key, label);
        }
    }

    fn event(&mut self, event: &BuildEvent) {
        let BuildEvent::Node { node, event: what } = event else {
            let mut screen = lock(&self.screen);
            if let BuildEvent::Accepted { total } = event {
                screen.progress.total(*total);
                let (id, packages) = (self.id, &self.options.packages);
                screen.event(|events, at| events.started(at, id, packages, *total));
            }
            return;
        };
        let index = node.0 as usize;
        let label = &self.plan.nodes[index].action.label;
        {
            let mut screen = lock(&self.screen);
            let now = screen.now();
            match what {
                NodeEvent::Started { .. } => screen.progress.started(*node, label, now),
                NodeEvent::Finished { how, .. } => screen.progress.finished(*node, *how),
                NodeEvent::Failed { .. } => screen.progress.failed(*node),
                NodeEvent::Skipped { .. } | NodeEvent::Cancelled => screen.progress.gave_up(*node),
                NodeEvent::Queued | NodeEvent::Reopened { .. } => screen.progress.waits(*node),
                NodeEvent::Nondeterministic { .. } => {}
            }
            screen.event(|events, at| events.node(at, *node, label, what));
        }
        match what {
            NodeEvent::Finished { how, result, .. } => self.node_finished(index, *how, result),
            NodeEvent::Failed { failure } => self.node_failed(index, failure),
            NodeEvent::Skipped { waits_for } => self.skipped.add(label, waits_for),
            _ => {}
        }
    }

    fn tick(&mut self) {
        let mut screen = lock(&self.screen);
        let now = screen.now();
        screen.progress.tick(now);
    }

    fn warn(&mut self, text: &str) {
        self.print(format!("gofarm: {text}\n").as_bytes());
    }
}

impl Screen {
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn print(&mut self, text: &[u8]) {
        let now = self.now();
        self.progress.print(text, now);
    }

    fn event(&mut self, write: impl FnOnce(&mut EventLog<File>, SystemTime)) {
        if let Some(events) = &mut self.events {
            write(events, SystemTime::now());
        }
    }
}

struct SharedScreen(Arc<Mutex<Screen>>);

impl WorkerWatch for SharedScreen {
    fn log(&self, key: &ActionKey, chunk: &[u8]) {
        let mut screen = lock(&self.0);
        if let Some(label) = screen.labels.get(key).cloned() {
            screen.event(|events, at| events.log(at, key, &label, chunk));
        }
    }

    fn command(&self, command: &TracedCommand) {
        let mut screen = lock(&self.0);
        if screen.print_commands {
            screen.print(shell_line(command).as_bytes());
        }
    }
}

/// A command as a shell would read it, and where it runs.
fn shell_line(command: &TracedCommand) -> String {
    let quote = |text: &str| {
        let plain = !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_=./,:+@%".contains(&b));
        if plain {
            text.to_owned()
        } else {
            format!("'{}'", text.replace('\'', "'\\''"))
        }
    };
    let env: Vec<String> = command
        .env
        .iter()
        .map(|(name, value)| format!("{name}={}", quote(value)))
        .collect();
    let argv: Vec<String> = command.argv.iter().map(|arg| quote(arg)).collect();
    format!(
        "\n# {}\n# in {}\ncd {}\n{} {}\n",
        command.label,
        command.exec_root.display(),
        quote(&command.cwd),
        env.join(" "),
        argv.join(" ")
    )
}

fn lock(screen: &Mutex<Screen>) -> MutexGuard<'_, Screen> {
    screen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The minor number of a release such as `go1.27.3`.
fn minor(version: &str) -> u32 {
    version
        .split_whitespace()
        .find_map(|word| word.strip_prefix("go1."))
        .and_then(|rest| {
            rest.split(|c: char| !c.is_ascii_digit())
                .next()?
                .parse()
                .ok()
        })
        .unwrap_or(u32::MAX)
}
