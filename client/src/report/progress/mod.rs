//! What the person who waits sees while a build runs.

mod tally;
#[cfg(test)]
mod tests;

use std::io::Write;
use std::time::Duration;

use gofarm_engine::core::{NodeId, Resolution};
use gofarm_printable::Printable;

use super::frame::{Frame, Size, USUAL_SIZE};
use super::terminal::{Display, NoTerminal, Terminal};
use crate::cli::{Environment, ProgressChoice};
use crate::stderr::Stderr;
use tally::Tally;

/// A block is drawn again so often at most.
const REDRAW: Duration = Duration::from_millis(100);

/// Builds that end sooner draw none.
const FIRST_DRAW: Duration = Duration::from_millis(150);

/// Between two plain lines: often enough for a log that is watched, seldom enough for one that is kept.
const LINE: Duration = Duration::from_secs(10);

/// Owns stderr while a build runs: everything that is printed meanwhile goes through [`print`](Progress::print), so that
/// the block never stands in the middle of it.
///
/// It knows no clock. Every `now` is the time since the command began. When writing fails it falls silent: there is nobody
/// left to tell, and the build goes on.
pub struct Progress<W = Stderr> {
    out: W,
    broken: bool,
    display: Display,
    size: fn() -> Option<Size>,
    tally: Tally,
    /// What stands on the terminal.
    drawn: Frame,
    /// When there will be something to draw or write again.
    due: Duration,
}

impl Progress<Stderr> {
    /// Shows nothing yet. The environment is asked for TERM and NO_COLOR.
    ///
    /// # Errors
    /// A block is demanded, and stderr is no terminal.
    pub fn on_stderr(
        choice: ProgressChoice,
        environment: &Environment,
    ) -> Result<Progress<Stderr>, NoTerminal> {
        let terminal = Terminal::stderr();
        let display = terminal.display(choice, environment)?;
        Ok(Progress::new(Stderr, display, terminal.size))
    }
}

impl<W: Write> Progress<W> {
    /// Shows nothing yet. `size` gives columns and rows of the terminal ([`super::Terminal::size`]).
    pub fn new(out: W, display: Display, size: fn() -> Option<(u16, u16)>) -> Progress<W> {
        Progress {
            out,
            broken: false,
            display,
            size,
            tally: Tally::new(),
            drawn: Frame::default(),
            due: match display {
                Display::Block { .. } => FIRST_DRAW,
                Display::Lines => LINE,
                Display::Silent => Duration::MAX,
            },
        }
    }

    /// What is done before there are actions: "planning", "reading sources".
    pub fn stage(&mut self, stage: &str) {
        self.tally.stage(stage);
    }

    /// Nothing runs, and this is why. True until something runs.
    pub fn waits_for(&mut self, reason: &str) {
        let news = self.tally.waits_for(reason);
        // Whoever reads lines hears of it at once, not up to ten seconds later.
        if news && matches!(self.display, Display::Lines) {
            self.due = Duration::ZERO;
        }
    }

    /// The farm cannot be reached since then; `None`: it answers again.
    pub fn out_of_reach(&mut self, since: Option<Duration>) {
        self.tally.out_of_reach(since);
    }

    /// The number of actions is known.
    pub fn total(&mut self, total: u32) {
        self.tally.total(total);
    }

    /// An action runs.
    pub fn started(&mut self, node: NodeId, label: &str, now: Duration) {
        self.tally.started(node, label, now);
    }

    /// An action has a result.
    pub fn finished(&mut self, node: NodeId, how: Resolution) {
        self.tally.finished(node, how);
    }

    /// An action failed.
    pub fn failed(&mut self, node: NodeId) {
        self.tally.failed(node);
    }

    /// An action will have no result, through no fault of its own: skipped or cancelled.
    pub fn gave_up(&mut self, node: NodeId) {
        self.tally.gave_up(node);
    }

    /// An action waits for a worker, perhaps again, or has to be made again.
    pub fn waits(&mut self, node: NodeId) {
        self.tally.forget(node);
    }

    /// Prints text that belongs to the user: whole, at once, and without what a terminal would obey.
    pub fn print(&mut self, text: &[u8], now: Duration) {
        if text.is_empty() {
            return;
        }
        let mut buffer = Vec::with_capacity(text.len() + 512);
        let visible = self.clear_into(&mut buffer);
        buffer.extend_from_slice(Printable::new(text).as_bytes());
        if visible {
            // A block begins at the beginning of a row.
            if text.last() != Some(&b'\n') {
                buffer.push(b'\n');
            }
            self.draw_into(&mut buffer, now);
        }
        self.write(&buffer);
    }

    /// Prints part of a text, which goes on or ends with a line feed. The block, if there was one, comes again with the next tick.
    pub fn print_part(&mut self, text: &[u8]) {
        let mut buffer = Vec::with_capacity(text.len() + 64);
        self.clear_into(&mut buffer);
        buffer.extend_from_slice(Printable::new(text).as_bytes());
        self.write(&buffer);
    }

    /// Draws or writes what is due. Cheap when nothing is.
    pub fn tick(&mut self, now: Duration) {
        if now < self.due {
            return;
        }
        let mut buffer = Vec::with_capacity(1024);
        match self.display {
            Display::Silent => return,
            Display::Lines => {
                buffer.extend_from_slice(self.tally.line(now).as_bytes());
                self.due = now + LINE;
            }
            Display::Block { .. } => {
                self.clear_into(&mut buffer);
                self.draw_into(&mut buffer, now);
                self.due = now + REDRAW;
            }
        }
        self.write(&buffer);
    }

    /// How long until [`tick`](Progress::tick) has something to do; None: never.
    pub fn next_tick(&self, now: Duration) -> Option<Duration> {
        (self.due != Duration::MAX).then(|| self.due.saturating_sub(now))
    }

    /// Takes the block away for good; texts may still be printed.
    pub fn clear(&mut self) {
        let mut buffer = Vec::new();
        self.clear_into(&mut buffer);
        self.due = Duration::MAX;
        self.write(&buffer);
    }

    /// One write a time: what a terminal gets in one piece it shows in one piece.
    fn write(&mut self, buffer: &[u8]) {
        if !buffer.is_empty() && !self.broken {
            self.broken = self
                .out
                .write_all(buffer)
                .and_then(|()| self.out.flush())
                .is_err();
        }
    }

    /// Whether there was a block.
    fn clear_into(&mut self, buffer: &mut Vec<u8>) -> bool {
        let drawn = std::mem::take(&mut self.drawn);
        let before = buffer.len();
        drawn.clear(self.current_size().0, buffer);
        buffer.len() > before
    }

    fn draw_into(&mut self, buffer: &mut Vec<u8>, now: Duration) {
        let Display::Block { color } = self.display else {
            return;
        };
        let running: Vec<(&str, Duration)> = self
            .tally
            .known_to_run()
            .iter()
            .map(|running| (running.label.as_str(), now.saturating_sub(running.since)))
            .collect();
        let frame = Frame::new(&self.tally.header(now), &running, self.current_size());
        frame.draw(color, buffer);
        self.drawn = frame;
    }

    fn current_size(&self) -> Size {
        (self.size)().unwrap_or(USUAL_SIZE)
    }
}
