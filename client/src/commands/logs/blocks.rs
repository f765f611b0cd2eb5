//! What the actions of a build have printed, each as a block when it has ended.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gofarm_engine::core::{BuildEvent, Failure, Log, NodeEvent, NodeId};
use gofarm_proto::{ActionKey, Digest};
use gofarm_worker::TracedCommand;
use tokio_util::sync::CancellationToken;

use super::json::json_line;
use crate::farm::{BuildWatch, Output, WorkerWatch, long_log};
use crate::outline::Outline;
use crate::report::OpenBlock;
use crate::say;

/// A build that goes on and says nothing for so long has said all that there was when it was asked.
const QUIET: Duration = Duration::from_secs(2);

/// Prints what actions have printed when they have ended.
pub(super) struct Blocks<'a> {
    pub outline: &'a Outline,
    pub json: bool,
    /// So many actions had ended when the build was asked for.
    pub stop_after: Option<u32>,
    pub ended: u32,
    /// When something was heard last.
    pub heard: Instant,
    pub enough: CancellationToken,
    pub failures: Vec<Arc<Failure>>,
    /// The block that comes piece by piece.
    pub open: OpenBlock,
    /// What kept the text from being written.
    pub broken: Option<anyhow::Error>,
}

impl Blocks<'_> {
    fn print(&mut self, node: usize, log: &Log, otherwise: Option<String>) {
        let mut text = match log {
            Log::Inline(log) => block(self.outline, node, log),
            // It comes by `output`.
            Log::Blob(_) => return,
        };
        if let (true, Some(otherwise)) = (text.is_empty(), otherwise) {
            text = format!("# {}\n{otherwise}\n", self.outline.nodes[node].package).into_bytes();
        }
        self.write(node, text);
    }

    fn write(&mut self, node: usize, text: Vec<u8>) {
        if text.is_empty() || self.broken.is_some() {
            return;
        }
        let text = match self.json {
            true => json_line(self.outline, node, &text),
            false => Ok(text),
        };
        if let Err(error) = text.and_then(|text| say::out(&text)) {
            self.broken = Some(error);
            self.enough.cancel();
        }
    }

    pub fn check(&mut self) {
        let all = self.stop_after.is_some_and(|count| self.ended >= count);
        let quiet = self.stop_after.is_some() && self.heard.elapsed() > QUIET;
        if all || quiet {
            self.enough.cancel();
        }
    }
}

impl BuildWatch for Blocks<'_> {
    fn task(&mut self, _key: &ActionKey, _definition: &Digest) {}

    fn event(&mut self, event: &BuildEvent) {
        self.heard = Instant::now();
        let BuildEvent::Node { node, event: ended } = event else {
            return;
        };
        let node = node.0 as usize;
        match ended {
            NodeEvent::Finished { result, .. } => {
                self.ended += 1;
                self.print(node, &result.log, None);
            }
            NodeEvent::Failed { failure } => {
                self.ended += 1;
                let nothing = Log::default();
                let log = match &**failure {
                    Failure::Action { result } => &result.log,
                    _ => &nothing,
                };
                self.print(node, log, Some(failure.to_string()));
                self.failures.push(failure.clone());
            }
            _ => {}
        }
        // It is not enough before a long log was printed.
        if long_log(event).is_none() {
            self.check();
        }
    }

    fn output(&mut self, node: NodeId, piece: Output<'_>) {
        self.heard = Instant::now();
        let index = node.0 as usize;
        let text = self.outline.show(index, &mut self.open, piece);
        self.write(index, text);
        if !matches!(piece, Output::More(_)) {
            self.check();
        }
    }

    fn tick(&mut self) {
        self.check();
    }

    fn stage(&mut self, _text: &str) {}

    fn warn(&mut self, text: &str) {
        say::err(&format!("gofarm: {text}\n"));
    }
}

/// Nobody looks at what actions print while they run.
pub(super) struct Unwatched;

impl WorkerWatch for Unwatched {
    fn log(&self, _key: &ActionKey, _chunk: &[u8]) {}
    fn command(&self, _command: &TracedCommand) {}
}

fn block(outline: &Outline, node: usize, log: &[u8]) -> Vec<u8> {
    outline.diagnostics(node, |diagnostics, subject, cgo| {
        diagnostics.block(subject, log, cgo)
    })
}
