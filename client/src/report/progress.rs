//! What the person who waits sees while a build runs.

use std::io::Write;
use std::time::Duration;

use gofarm_engine::core::{NodeId, Resolution};
use gofarm_printable::Printable;

use super::frame::{Frame, Size, USUAL_SIZE, tenths};
use super::terminal::{Display, NoTerminal, Terminal};
use crate::cli::{Environment, ProgressChoice};
use crate::stderr::Stderr;

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
    /// What is done while the number of actions is not known.
    stage: String,
    /// Why nothing runs, as long as nothing does.
    waits_for: String,
    /// Since when the farm cannot be reached. What is known of running actions is of before.
    out_of_reach: Option<Duration>,
    counts: Counts,
    /// By node.
    ends: Vec<Option<End>>,
    /// Longest running first.
    running: Vec<Running>,
    /// What stands on the terminal.
    drawn: Frame,
    /// When there will be something to draw or write again.
    due: Duration,
}

struct Running {
    node: NodeId,
    label: String,
    since: Duration,
}

#[derive(Clone, Copy)]
enum End {
    Cached,
    Other,
    Failed,
}

#[derive(Default)]
struct Counts {
    total: Option<u32>,
    done: u32,
    cached: u32,
    failed: u32,
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
            stage: "starting".to_owned(),
            waits_for: String::new(),
            out_of_reach: None,
            counts: Counts::default(),
            ends: Vec::new(),
            running: Vec::new(),
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
        self.stage = Printable::line(stage).to_string();
    }

    /// Nothing runs, and this is why. True until something runs.
    pub fn waits_for(&mut self, reason: &str) {
        let reason = Printable::line(reason).to_string();
        // Whoever reads lines hears of it at once, not up to ten seconds later.
        if self.waits_for != reason && matches!(self.display, Display::Lines) {
            self.due = Duration::ZERO;
        }
        self.waits_for = reason;
    }

    /// The farm cannot be reached since then; `None`: it answers again.
    pub fn out_of_reach(&mut self, since: Option<Duration>) {
        self.out_of_reach = since;
    }

    /// The number of actions is known.
    pub fn total(&mut self, total: u32) {
        self.counts.total = Some(total);
    }

    /// An action runs.
    pub fn started(&mut self, node: NodeId, label: &str, now: Duration) {
        self.forget(node);
        self.waits_for.clear();
        let label = Printable::line(label).to_string();
        self.running.push(Running {
            node,
            label,
            since: now,
        });
    }

    /// An action has a result.
    pub fn finished(&mut self, node: NodeId, how: Resolution) {
        let end = match how {
            Resolution::Cached => End::Cached,
            Resolution::Executed | Resolution::Joined => End::Other,
        };
        self.end(node, end);
    }

    /// An action failed.
    pub fn failed(&mut self, node: NodeId) {
        self.end(node, End::Failed);
    }

    /// An action will have no result, through no fault of its own: skipped or cancelled.
    pub fn gave_up(&mut self, node: NodeId) {
        self.end(node, End::Other);
    }

    /// An action waits for a worker, perhaps again, or has to be made again.
    pub fn waits(&mut self, node: NodeId) {
        self.forget(node);
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
                buffer.extend_from_slice(self.line(now).as_bytes());
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

    fn end(&mut self, node: NodeId, end: End) {
        self.forget(node);
        let index = node.0 as usize;
        if self.ends.len() <= index {
            self.ends.resize(index + 1, None);
        }
        self.ends[index] = Some(end);
        self.counts.done += 1;
        self.counts.cached += u32::from(matches!(end, End::Cached));
        self.counts.failed += u32::from(matches!(end, End::Failed));
    }

    /// The node neither runs nor has ended.
    fn forget(&mut self, node: NodeId) {
        self.running.retain(|running| running.node != node);
        if let Some(end) = self.ends.get_mut(node.0 as usize).and_then(Option::take) {
            self.counts.done -= 1;
            self.counts.cached -= u32::from(matches!(end, End::Cached));
            self.counts.failed -= u32::from(matches!(end, End::Failed));
        }
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
            .known_to_run()
            .iter()
            .map(|running| (running.label.as_str(), now.saturating_sub(running.since)))
            .collect();
        let frame = Frame::new(&self.header(now), &running, self.current_size());
        frame.draw(color, buffer);
        self.drawn = frame;
    }

    fn current_size(&self) -> Size {
        (self.size)().unwrap_or(USUAL_SIZE)
    }

    fn header(&self, now: Duration) -> String {
        match (self.counts.total, self.unreached(now)) {
            (None, None) => format!("{}, {}", self.stage, tenths(now)),
            (None, Some(unreached)) => format!("{}, {unreached}, {}", self.stage, tenths(now)),
            (Some(total), _) => format!(
                "[{}/{total}] {}, {}",
                self.counts.done,
                self.state(now),
                tenths(now)
            ),
        }
    }

    fn line(&self, now: Duration) -> String {
        let Some(total) = self.counts.total else {
            let unreached = self.unreached(now);
            let unreached = unreached.map_or_else(String::new, |text| format!(": {text}"));
            return format!("gofarm: {} for {}{unreached}\n", self.stage, tenths(now));
        };
        let oldest = self
            .known_to_run()
            .first()
            .map_or(String::new(), |running| {
                format!(
                    " ({} for {})",
                    running.label,
                    tenths(now.saturating_sub(running.since))
                )
            });
        format!(
            "gofarm: {}: {} of {total} done, {}{oldest}\n",
            tenths(now),
            self.counts.done,
            self.state(now)
        )
    }

    /// Nothing is known of what runs while the farm cannot be asked.
    fn known_to_run(&self) -> &[Running] {
        match self.out_of_reach {
            Some(_) => &[],
            None => &self.running,
        }
    }

    fn unreached(&self, now: Duration) -> Option<String> {
        let since = self.out_of_reach?;
        Some(format!(
            "no scheduler can be reached for {} by now, trying again",
            tenths(now.saturating_sub(since))
        ))
    }

    fn state(&self, now: Duration) -> String {
        let Counts {
            done,
            cached,
            failed,
            ..
        } = self.counts;
        let share = u64::from(cached) * 100 / u64::from(done.max(1));
        let failed = if failed > 0 {
            format!("{failed} failed, ")
        } else {
            String::new()
        };
        if let Some(unreached) = self.unreached(now) {
            return format!("{share}% cached, {failed}{unreached}");
        }
        match (self.running.len(), self.waits_for.as_str()) {
            (0, reason) if !reason.is_empty() => format!("{share}% cached, {failed}{reason}"),
            (running, _) => format!("{share}% cached, {failed}{running} running"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::screen::Screen;

    const ONE: Resolution = Resolution::Executed;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn block() -> Progress<Vec<u8>> {
        Progress::new(Vec::new(), Display::Block { color: false }, || {
            Some((60, 10))
        })
    }

    fn text(progress: &Progress<Vec<u8>>) -> String {
        String::from_utf8(progress.out.clone()).unwrap()
    }

    fn screen(progress: &Progress<Vec<u8>>) -> String {
        Screen::after(&progress.out, 60).text()
    }

    #[test]
    fn a_block_is_drawn_in_its_place() {
        let mut progress = block();
        progress.stage("planning");
        progress.tick(ms(149));
        assert_eq!(text(&progress), "", "short builds draw nothing");
        progress.tick(ms(200));
        assert_eq!(screen(&progress), "planning, 0.2s\n");
        progress.total(4);
        progress.finished(NodeId(0), Resolution::Cached);
        progress.started(NodeId(1), "compile net/http", ms(250));
        progress.started(NodeId(2), "compile example.com/a", ms(400));
        progress.tick(ms(1_500));
        assert_eq!(
            screen(&progress),
            "[1/4] 100% cached, 2 running, 1.5s\n  compile net/http  1.2s\n  compile example.com/a  1.1s\n"
        );
        progress.finished(NodeId(1), ONE);
        progress.failed(NodeId(2));
        progress.gave_up(NodeId(3));
        progress.tick(ms(1_600));
        assert_eq!(
            screen(&progress),
            "[4/4] 25% cached, 1 failed, 0 running, 1.6s\n"
        );
        progress.clear();
        assert_eq!(screen(&progress), "");
    }

    #[test]
    fn diagnostics_stand_above_the_block_and_whole() {
        let mut progress = block();
        progress.total(2);
        progress.started(NodeId(0), "compile a", ms(0));
        progress.tick(ms(200));
        progress.print(b"# a\n./x.go:1:1: bad\n", ms(210));
        progress.print(b"no line end", ms(220));
        assert_eq!(
            screen(&progress),
            "# a\n./x.go:1:1: bad\nno line end\n[0/2] 0% cached, 1 running, 0.2s\n  compile a  0.2s\n"
        );
        progress.clear();
        progress.print(b"done\n", ms(230));
        assert_eq!(
            screen(&progress),
            "# a\n./x.go:1:1: bad\nno line end\ndone\n"
        );
    }

    #[test]
    fn nothing_of_others_is_obeyed() {
        let mut progress = block();
        progress.total(2);
        progress.started(NodeId(0), "compile a\x1b[2J\nb", ms(0));
        progress.print(b"# a\n\x1b]0;t\x07done\r\x9b1m\n", ms(100));
        progress.tick(ms(200));
        assert_eq!(
            screen(&progress),
            "# a\n\\x1b]0;t\\x07done\\r\\x9b1m\n[0/2] 0% cached, 1 running, 0.2s\n  compile a\\x1b[2J\\nb  0.2s\n"
        );
    }

    #[test]
    fn a_block_is_drawn_ten_times_a_second_at_most() {
        let mut progress = block();
        progress.total(1000);
        for now in 0..2_000 {
            progress.finished(NodeId(now / 2), ONE);
            progress.tick(ms(u64::from(now)));
        }
        let drawn = text(&progress).matches("cached").count();
        assert!((15..=20).contains(&drawn), "{drawn}");
        assert_eq!(progress.next_tick(ms(2_000)), Some(ms(50)));
    }

    #[test]
    fn colours_come_only_when_asked_for_and_always_end() {
        let mut progress = Progress::new(Vec::new(), Display::Block { color: true }, || None);
        progress.total(2);
        progress.started(NodeId(0), "compile a", ms(0));
        progress.tick(ms(200));
        assert_eq!(
            text(&progress),
            "\x1b[1m[0/2] 0% cached, 1 running, 0.2s\x1b[0m\n  compile a\x1b[2m  0.2s\x1b[0m\n"
        );
        let mut plain = block();
        plain.total(2);
        plain.tick(ms(200));
        assert!(!text(&plain).contains('\x1b'));
    }

    #[test]
    fn lines_come_every_ten_seconds_without_escape_codes() {
        let mut progress = Progress::new(Vec::new(), Display::Lines, || None);
        progress.stage("planning");
        for second in 0..=9 {
            progress.tick(ms(second * 1_000));
        }
        assert_eq!(text(&progress), "", "short builds write nothing");
        progress.tick(ms(10_000));
        progress.total(8);
        progress.finished(NodeId(0), Resolution::Cached);
        progress.finished(NodeId(1), Resolution::Joined);
        progress.started(NodeId(2), "link x", ms(18_500));
        progress.print(b"# y\n", ms(19_000));
        progress.tick(ms(20_000));
        progress.tick(ms(29_999));
        progress.clear();
        progress.tick(ms(90_000));
        assert_eq!(
            text(&progress),
            "gofarm: planning for 10.0s\n# y\n\
             gofarm: 20.0s: 2 of 8 done, 50% cached, 1 running (link x for 1.5s)\n"
        );
    }

    #[test]
    fn what_is_waited_for_stands_where_nothing_runs() {
        let mut progress = block();
        progress.total(2);
        progress.waits_for("waiting for a worker");
        progress.tick(ms(200));
        assert_eq!(
            screen(&progress),
            "[0/2] 0% cached, waiting for a worker, 0.2s\n"
        );
        progress.started(NodeId(0), "compile a", ms(300));
        progress.finished(NodeId(0), ONE);
        progress.tick(ms(400));
        assert_eq!(screen(&progress), "[1/2] 0% cached, 0 running, 0.4s\n");
        let mut lines = Progress::new(Vec::new(), Display::Lines, || None);
        lines.total(2);
        lines.waits_for("waiting for room: 3 builds before this one");
        lines.tick(ms(2_000));
        lines.waits_for("waiting for room: 3 builds before this one");
        lines.tick(ms(4_000));
        assert_eq!(
            text(&lines),
            "gofarm: 2.0s: 0 of 2 done, 0% cached, waiting for room: 3 builds before this one\n"
        );
    }

    #[test]
    fn a_farm_that_is_out_of_reach_is_told_instead_of_what_ran_there() {
        let mut lines = Progress::new(Vec::new(), Display::Lines, || None);
        lines.stage("building");
        lines.out_of_reach(Some(ms(4_000)));
        lines.tick(ms(10_000));
        lines.total(3);
        lines.finished(NodeId(0), ONE);
        lines.started(NodeId(1), "compile a", ms(1_000));
        lines.waits_for("waiting for a worker");
        lines.tick(ms(20_000));
        lines.out_of_reach(None);
        lines.tick(ms(30_000));
        assert_eq!(
            text(&lines),
            "gofarm: building for 10.0s: no scheduler can be reached for 6.0s by now, trying again\n\
             gofarm: 20.0s: 1 of 3 done, 0% cached, no scheduler can be reached for 16.0s by now, trying again\n\
             gofarm: 30.0s: 1 of 3 done, 0% cached, 1 running (compile a for 29.0s)\n"
        );
        let mut progress = Progress::new(Vec::new(), Display::Block { color: false }, || {
            Some((100, 10))
        });
        progress.total(2);
        progress.started(NodeId(0), "compile a", ms(0));
        progress.out_of_reach(Some(ms(1_000)));
        progress.tick(ms(4_000));
        assert_eq!(
            Screen::after(&progress.out, 100).text(),
            "[0/2] 0% cached, no scheduler can be reached for 3.0s by now, trying again, 4.0s\n"
        );
    }

    #[test]
    fn silence_prints_only_what_it_is_told_to() {
        let mut progress = Progress::new(Vec::new(), Display::Silent, || None);
        progress.total(1);
        progress.tick(ms(60_000));
        progress.print(b"# y\n", ms(60_000));
        progress.clear();
        assert_eq!(
            (text(&progress).as_str(), progress.next_tick(ms(0))),
            ("# y\n", None)
        );
    }

    #[test]
    fn an_action_that_has_to_run_again_is_counted_once() {
        let mut progress = block();
        progress.total(2);
        progress.finished(NodeId(0), Resolution::Cached);
        progress.waits(NodeId(0));
        progress.started(NodeId(0), "compile a", ms(0));
        progress.waits(NodeId(0));
        progress.started(NodeId(0), "compile a", ms(100));
        progress.finished(NodeId(0), ONE);
        progress.tick(ms(200));
        assert_eq!(screen(&progress), "[1/2] 0% cached, 0 running, 0.2s\n");
    }
}
