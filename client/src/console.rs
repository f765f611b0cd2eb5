//! What the user sees of a build while it runs: diagnostics, progress, and the files that were asked for.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use gofarm_proto::{ActionKey, Digest, v1};
use gofarm_scheduler::core::{
    ActionResult, BuildEvent, BuildId, BuildSummary, Failure, Log, NodeEvent, NodeId, Resolution,
};
use gofarm_worker::TracedCommand;

use crate::cli::{Environment, ExitCode, ProgressChoice};
use crate::farm::{BuildWatch, Output, Supply, WorkerWatch};
use crate::outline::Outline;
use crate::report::{
    Built, Bytes, CgoText, Diagnostics, EventLog, OpenBlock, Progress, Skipped, Subject, Summary,
    locale_is_utf8,
};
use crate::say;

/// Everything that is written to; one thread at a time.
struct Screen {
    progress: Progress,
    events: Option<EventLog<File>>,
    /// Of the tasks that were put into the queue.
    labels: HashMap<ActionKey, String>,
    print_commands: bool,
    started: Instant,
    /// While the block of an action comes piece by piece: what is to be printed behind it.
    behind_block: Option<Vec<u8>>,
}

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

impl Outline {
    /// What tools said about a node, as `go build` of this release prints it.
    pub fn diagnostics(
        &self,
        index: usize,
        render: impl FnOnce(&Diagnostics<'_>, &Subject<'_>, CgoText) -> Vec<u8>,
    ) -> Vec<u8> {
        let node = &self.nodes[index];
        let diagnostics = Diagnostics {
            cwd: Path::new(&self.folder),
            real: &|root| self.to_real(root),
            utf8: locale_is_utf8(),
        };
        let folder = (!node.folder.is_empty()).then(|| Path::new(&node.folder));
        let subject = Subject {
            import_path: &node.import_path,
            description: &node.package,
            folder,
        };
        let uses_cgo = node.host_tools && node.kind() == v1::Kind::Compile;
        let cgo = CgoText::of_release(minor(&self.go_version), uses_cgo, self.print_commands);
        render(&diagnostics, &subject, cgo)
    }

    /// What of a long log can be shown with this piece, as `go build` of this release prints it.
    pub fn show(&self, index: usize, open: &mut OpenBlock, piece: Output<'_>) -> Vec<u8> {
        let shown = |diagnostics: &Diagnostics<'_>, subject: &Subject<'_>, cgo: CgoText| {
            let why = match piece {
                Output::More(bytes) => return diagnostics.more(subject, cgo, open, bytes),
                Output::End => None,
                Output::Lost(why) => Some(why),
            };
            let mut block = std::mem::take(open);
            let nothing = block.is_empty();
            let mut text = diagnostics.rest(subject, cgo, &mut block);
            if let Some(why) = why {
                if nothing {
                    text.extend(diagnostics.header(subject).into_bytes());
                }
                let what = match nothing {
                    true => "the output",
                    false => "the rest of the output",
                };
                let label = &self.nodes[index].label;
                let line = format!(
                    "gofarm: {what} of {label} cannot be shown: {why}; it changes nothing about the build, and building again with --no-cache prints it again\n"
                );
                text.extend(line.into_bytes());
            }
            text
        };
        self.diagnostics(index, shown)
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
            let line = shell_line(command).into_bytes();
            match &mut screen.behind_block {
                Some(behind) => behind.extend(line),
                None => screen.print(&line),
            }
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
