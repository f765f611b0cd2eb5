//! How the tools of Go use the memory and the CPUs that there are.
//!
//! Compilers and linkers are short-lived Go programs, and their garbage collector is set for long-lived ones: it starts
//! early and takes a sixth of a cold build's CPU time. Where a slot has memory to spare they may let more garbage lie.
//! What they write does not depend on it, so it is in no key. Measured on a cold build of cmd/gofmt with two slots:
//! GOGC=400 takes 0.80 of the time of GOGC=100, and 1.2 times the memory; of a cold build of cmd/compile, which has larger
//! packages, GOGC=800 takes another 0.02 off.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const GIB: u64 = 1 << 30;

/// Variables for every tool of a worker that gives its slots this much memory together.
///
/// `GOMEMLIMIT` brings the collector back to work before a slot's share is used up: it is a goal of the collector, not a
/// limit at which a tool would fail.
pub fn go_tools(memory: u64, slots: usize) -> Vec<(String, String)> {
    let share = memory / slots.max(1) as u64;
    let percent = match share {
        share if share >= 4 * GIB => "800",
        share if share >= 3 * GIB / 2 => "400",
        share if share >= 3 * GIB / 4 => "200",
        _ => return Vec::new(),
    };
    vec![
        ("GOGC".to_owned(), percent.to_owned()),
        ("GOMEMLIMIT".to_owned(), share.to_string()),
    ]
}

/// What a compiler is told as `-c=N` that starts when `running` actions run on these CPUs, itself among them.
///
/// A compiler that works on several functions at once spends more CPU time in all than one that does not, so threads are
/// given only where a CPU would be idle without. Measured on a cold build of cmd/compile with two slots on two CPUs: 0.93 of
/// the time of a constant `-c=2`. Never above 4, as with cmd/go, which found nothing to gain beyond (gcBackendConcurrency in
/// cmd/go/internal/work/gc.go). What a compiler writes does not depend on it.
pub fn compiler_concurrency(cpus: usize, running: usize) -> usize {
    (cpus / running.max(1)).clamp(1, 4)
}

/// How many actions run.
#[derive(Debug, Default)]
pub(crate) struct RunningActions(AtomicUsize);

impl RunningActions {
    /// Counts one more, until the answer is dropped.
    pub fn enter(self: &Arc<RunningActions>) -> RunningAction {
        self.0.fetch_add(1, Ordering::Relaxed);
        RunningAction(self.clone())
    }

    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// See [`RunningActions::enter`].
pub(crate) struct RunningAction(Arc<RunningActions>);

impl Drop for RunningAction {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compilers_share_the_cpus_that_are_idle() {
        assert_eq!(compiler_concurrency(2, 1), 2);
        assert_eq!(compiler_concurrency(2, 2), 1);
        assert_eq!(compiler_concurrency(16, 5), 3);
        assert_eq!(compiler_concurrency(64, 1), 4);
        assert_eq!(compiler_concurrency(1, 3), 1);
    }

    #[test]
    fn an_action_counts_while_it_runs() {
        let running = Arc::new(RunningActions::default());
        let (one, two) = (running.enter(), running.enter());
        assert_eq!(running.count(), 2);
        drop(one);
        assert_eq!(running.count(), 1);
        drop(two);
        assert_eq!(running.count(), 0);
    }

    #[test]
    fn tools_collect_less_where_memory_is_plenty() {
        let percent = |memory, slots| {
            go_tools(memory, slots)
                .first()
                .map(|(_, percent)| percent.clone())
        };
        assert_eq!(percent(64 * GIB, 8).as_deref(), Some("800"));
        assert_eq!(percent(16 * GIB, 8).as_deref(), Some("400"));
        assert_eq!(percent(8 * GIB, 8).as_deref(), Some("200"));
        assert_eq!(percent(4 * GIB, 8), None);
        assert_eq!(go_tools(4 * GIB, 2)[1].1, (2 * GIB).to_string());
    }
}
