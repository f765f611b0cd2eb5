//! What is known of a build under way, and how that is said in one line.

use std::time::Duration;

use gofarm_engine::core::{NodeId, Resolution};
use gofarm_printable::Printable;

use crate::report::frame::tenths;

/// What is known of a build under way. Of texts of others, only what is safe to print.
pub(super) struct Tally {
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
    running: Vec<RunningNode>,
}

/// An action that runs.
pub(super) struct RunningNode {
    node: NodeId,
    pub label: String,
    pub since: Duration,
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

impl Tally {
    pub fn new() -> Tally {
        Tally {
            stage: "starting".to_owned(),
            waits_for: String::new(),
            out_of_reach: None,
            counts: Counts::default(),
            ends: Vec::new(),
            running: Vec::new(),
        }
    }

    pub fn stage(&mut self, stage: &str) {
        self.stage = Printable::line(stage).to_string();
    }

    /// Whether that is news.
    pub fn waits_for(&mut self, reason: &str) -> bool {
        let reason = Printable::line(reason).to_string();
        let news = self.waits_for != reason;
        self.waits_for = reason;
        news
    }

    pub fn out_of_reach(&mut self, since: Option<Duration>) {
        self.out_of_reach = since;
    }

    pub fn total(&mut self, total: u32) {
        self.counts.total = Some(total);
    }

    pub fn started(&mut self, node: NodeId, label: &str, now: Duration) {
        self.forget(node);
        self.waits_for.clear();
        let label = Printable::line(label).to_string();
        self.running.push(RunningNode {
            node,
            label,
            since: now,
        });
    }

    pub fn finished(&mut self, node: NodeId, how: Resolution) {
        let end = match how {
            Resolution::Cached => End::Cached,
            Resolution::Executed | Resolution::Joined => End::Other,
        };
        self.end(node, end);
    }

    pub fn failed(&mut self, node: NodeId) {
        self.end(node, End::Failed);
    }

    pub fn gave_up(&mut self, node: NodeId) {
        self.end(node, End::Other);
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
    pub fn forget(&mut self, node: NodeId) {
        self.running.retain(|running| running.node != node);
        if let Some(end) = self.ends.get_mut(node.0 as usize).and_then(Option::take) {
            self.counts.done -= 1;
            self.counts.cached -= u32::from(matches!(end, End::Cached));
            self.counts.failed -= u32::from(matches!(end, End::Failed));
        }
    }

    /// Above the actions that run.
    pub fn header(&self, now: Duration) -> String {
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

    /// Where there is nothing but lines.
    pub fn line(&self, now: Duration) -> String {
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
    pub fn known_to_run(&self) -> &[RunningNode] {
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
