//! What the user sees of a build while it runs: diagnostics, progress, and the files that were asked for.

mod rendering;
mod screen;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use gofarm_engine::core::{
    ActionResult, BuildEvent, BuildId, BuildSummary, Failure, Log, NodeEvent, NodeId, Resolution,
};
use gofarm_proto::{ActionKey, Digest, v1};

use crate::cli::{Environment, ExitCode, ProgressChoice};
use crate::farm::{BuildWatch, Output, Supply, WorkerWatch};
use crate::outline::Outline;
use crate::report::{
    Built, Bytes, CgoText, Diagnostics, EventLog, OpenBlock, Progress, Skipped, Subject, Summary,
};
use crate::say;
use screen::{Screen, SharedScreen, lock};

/// Shows one build.
pub struct Console<'p> {
    screen: Arc<Mutex<Screen>>,
    outline: &'p Outline,
    showing: Showing,
    /// By definition digest.
    definitions: HashMap<Digest, NodeId>,
    skipped: Skipped,
    failures: Vec<Arc<Failure>>,
    /// The block that comes piece by piece.
    open: OpenBlock,
    supply: Option<Arc<Supply>>,
    id: BuildId,
    planning: Planning,
}

/// What is shown, and where.
#[derive(Debug, Clone, Default)]
pub struct Showing {
    /// --progress.
    pub progress: ProgressChoice,
    /// --events.
    pub events: Option<PathBuf>,
    /// --summary-json.
    pub summary_json: Option<PathBuf>,
    /// -v.
    pub verbose: bool,
    /// -x.
    pub print_commands: bool,
    /// The summary for programs goes to stdout as well.
    pub summary_on_stdout: bool,
    /// The summary tells how long the build took, not this command, which may have come late.
    pub wall_of_build: bool,
}

/// How long planning took, and whether anything was planned.
#[derive(Debug, Clone, Copy, Default)]
pub struct Planning {
    /// How long.
    pub time: Duration,
    /// An earlier plan was used.
    pub reused: bool,
}

impl<'p> Console<'p> {
    /// Opens the files that the user asked for. `started` is when the command began.
    pub fn new(
        showing: Showing,
        outline: &'p Outline,
        graph: &v1::Graph,
        id: BuildId,
        planning: Planning,
        started: Instant,
    ) -> anyhow::Result<Console<'p>> {
        let events = showing
            .events
            .as_deref()
            .map(EventLog::create)
            .transpose()?;
        let mut progress = Progress::on_stderr(showing.progress, &Environment::of_process())?;
        progress.stage("building");
        let mut definitions = HashMap::with_capacity(graph.nodes.len());
        for (index, node) in graph.nodes.iter().enumerate() {
            if let Some(Ok(digest)) = node.action.as_ref().map(Digest::try_from) {
                definitions.insert(digest, NodeId(index as u32));
            }
        }
        let console = Console {
            screen: Arc::new(Mutex::new(Screen {
                progress,
                events,
                labels: HashMap::new(),
                print_commands: showing.print_commands,
                started,
                behind_block: None,
            })),
            outline,
            showing,
            definitions,
            skipped: Skipped::default(),
            failures: Vec::new(),
            open: OpenBlock::default(),
            supply: None,
            id,
            planning,
        };
        for note in &outline.notes {
            console.print(format!("{note}\n").as_bytes());
        }
        Ok(console)
    }

    /// Lets failures name files of the user where only a blob is known.
    pub fn naming(mut self, supply: Arc<Supply>) -> Console<'p> {
        self.supply = Some(supply);
        self
    }

    /// The build goes on under another id.
    pub fn renamed(&mut self, id: BuildId) {
        self.id = id;
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
        let wall = match self.showing.wall_of_build {
            true => Duration::from_millis(build.wall_ms),
            false => screen.started.elapsed(),
        };
        let mut summary = Summary::of_build(
            self.id,
            build,
            wall,
            self.planning.time,
            self.planning.reused,
            bytes,
        );
        if stopped.is_some() {
            summary.stopped();
        }
        screen.progress.clear();
        let ended_by = stopped.map(|code| match code {
            ExitCode::TimedOut => "timed out",
            _ => "interrupted",
        });
        let packages = self
            .outline
            .nodes
            .iter()
            .filter(|node| node.kind() == v1::Kind::Compile)
            .count();
        say::err(&format!(
            "{}{}",
            self.skipped.lines(),
            summary.line(Built { programs, packages }, ended_by)
        ));
        if let Some(events) = screen.events.take() {
            events.finished(SystemTime::now(), &summary)?;
        }
        if let Some(path) = &self.showing.summary_json {
            summary.write(path)?;
        }
        if self.showing.summary_on_stdout {
            // Whoever does not read to the end has read enough.
            let _ = say::json(&summary);
        }
        Ok(())
    }

    fn print(&self, text: &[u8]) {
        if !text.is_empty() {
            lock(&self.screen).print(text);
        }
    }

    fn node_finished(&self, index: usize, how: Resolution, result: &ActionResult) {
        let node = &self.outline.nodes[index];
        if self.showing.verbose && how == Resolution::Executed && node.kind() == v1::Kind::Compile {
            self.print(format!("{}\n", node.import_path).as_bytes());
        }
        // A blob comes by `output`.
        if let Log::Inline(log) = &result.log {
            let text = self.diagnostics(index, |diagnostics, subject, cgo| {
                diagnostics.block(subject, log, cgo)
            });
            self.print(&text);
        }
    }

    fn node_failed(&mut self, index: usize, failure: &Arc<Failure>) {
        let text = match &**failure {
            Failure::Action { result } => match &result.log {
                Log::Inline(log) => self.diagnostics(index, |diagnostics, subject, cgo| {
                    diagnostics.failure(subject, log, cgo, None, result.exit_code)
                }),
                Log::Blob(_) => Vec::new(),
            },
            other => format!(
                "# {}\ngofarm: {other}{}\n",
                self.outline.nodes[index].package,
                self.file_of(other)
            )
            .into_bytes(),
        };
        self.print(&text);
        self.failures.push(failure.clone());
    }

    /// Which file of the user a blob was that is missing.
    fn file_of(&self, failure: &Failure) -> String {
        let Failure::MissingBlob { digest } = failure else {
            return String::new();
        };
        let file = self.supply.as_ref().and_then(|supply| supply.file(digest));
        file.map_or_else(String::new, |file| format!(" (it is {})", file.display()))
    }

    fn diagnostics(
        &self,
        index: usize,
        render: impl FnOnce(&Diagnostics<'_>, &Subject<'_>, CgoText) -> Vec<u8>,
    ) -> Vec<u8> {
        self.outline.diagnostics(index, render)
    }
}

impl BuildWatch for Console<'_> {
    fn task(&mut self, key: &ActionKey, definition: &Digest) {
        if let Some(node) = self.definitions.get(definition) {
            let label = self.outline.nodes[node.0 as usize].label.clone();
            lock(&self.screen).labels.insert(*key, label);
        }
    }

    fn event(&mut self, event: &BuildEvent) {
        let BuildEvent::Node { node, event: what } = event else {
            let mut screen = lock(&self.screen);
            if let BuildEvent::Accepted { total } = event {
                screen.progress.total(*total);
                let (id, packages) = (self.id, &self.outline.packages);
                screen.event(|events, at| events.started(at, id, packages, *total));
            }
            return;
        };
        let index = node.0 as usize;
        let label = &self.outline.nodes[index].label;
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

    fn output(&mut self, node: NodeId, piece: Output<'_>) {
        let index = node.0 as usize;
        let text = self.outline.show(index, &mut self.open, piece);
        let mut screen = lock(&self.screen);
        screen.progress.print_part(&text);
        match piece {
            Output::More(_) => {
                screen.behind_block.get_or_insert_default();
            }
            Output::End | Output::Lost(_) => {
                let behind = screen.behind_block.take().unwrap_or_default();
                screen.print(&behind);
            }
        }
    }

    fn tick(&mut self) {
        let mut screen = lock(&self.screen);
        let now = screen.now();
        screen.progress.tick(now);
    }

    fn waits_for(&mut self, reason: &str) {
        lock(&self.screen).progress.waits_for(reason);
    }

    fn out_of_reach(&mut self, since: Option<Instant>) {
        let mut screen = lock(&self.screen);
        let since = since.map(|since| since.saturating_duration_since(screen.started));
        screen.progress.out_of_reach(since);
    }

    fn stage(&mut self, text: &str) {
        lock(&self.screen).progress.stage(text);
    }

    fn warn(&mut self, text: &str) {
        self.print(format!("gofarm: {text}\n").as_bytes());
    }
}
