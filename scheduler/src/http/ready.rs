//! Whether this process can do its work just now.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde::Serialize;
use tokio::sync::Mutex;

/// How long an answer holds, so that however many ask, what is asked has little to do.
const FRESH: Duration = Duration::from_millis(500);

/// What has not answered by then is not there.
const PATIENCE: Duration = Duration::from_secs(2);

type Answer = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// One thing that the process cannot do without.
pub struct Check {
    name: &'static str,
    /// Without it the process is not ready.
    needed: bool,
    ask: Box<dyn Fn() -> Answer + Send + Sync>,
}

impl Check {
    /// A thing that is asked like this; the error is for a person.
    pub fn new<A>(name: &'static str, ask: impl Fn() -> A + Send + Sync + 'static) -> Check
    where
        A: Future<Output = Result<(), String>> + Send + 'static,
    {
        Check {
            name,
            needed: true,
            ask: Box::new(move || Box::pin(ask())),
        }
    }

    /// As [`new`](Self::new), for what is told and does not decide: without it, a part of the work goes on.
    pub fn told<A>(name: &'static str, ask: impl Fn() -> A + Send + Sync + 'static) -> Check
    where
        A: Future<Output = Result<(), String>> + Send + 'static,
    {
        Check {
            needed: false,
            ..Check::new(name, ask)
        }
    }

    async fn answer(&self) -> (&'static str, String) {
        let answer = match tokio::time::timeout(PATIENCE, (self.ask)()).await {
            Ok(Ok(())) => OK.to_owned(),
            Ok(Err(error)) => error,
            Err(_) => format!("no answer within {} s", PATIENCE.as_secs()),
        };
        (self.name, answer)
    }
}

const OK: &str = "ok";

/// What was found.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Report {
    /// Calls are welcome.
    pub ready: bool,
    /// The process has been told to end.
    pub closing: bool,
    /// For each thing that it depends on, `ok` or what is wrong.
    pub checks: BTreeMap<&'static str, String>,
}

/// Asks the checks. Cheap to clone.
#[derive(Clone)]
pub struct Readiness(Arc<Inner>);

struct Inner {
    checks: Vec<Check>,
    closing: AtomicBool,
    last: Mutex<Option<(Instant, BTreeMap<&'static str, String>)>>,
}

impl Readiness {
    /// Ready when all of these answer.
    pub fn new(checks: Vec<Check>) -> Readiness {
        Readiness(Arc::new(Inner {
            checks,
            closing: AtomicBool::new(false),
            last: Mutex::new(None),
        }))
    }

    /// The process is going away: not ready any more, whatever the checks say.
    pub fn close(&self) {
        self.0.closing.store(true, Ordering::Relaxed);
    }

    /// Asks, or tells what was found a moment ago.
    pub async fn report(&self) -> Report {
        // Those who come while one asks wait for its answer.
        let mut last = self.0.last.lock().await;
        let checks = match &*last {
            Some((when, checks)) if when.elapsed() < FRESH => checks.clone(),
            _ => {
                let answers = join_all(self.0.checks.iter().map(Check::answer)).await;
                let checks: BTreeMap<_, _> = answers.into_iter().collect();
                *last = Some((Instant::now(), checks.clone()));
                checks
            }
        };
        let closing = self.0.closing.load(Ordering::Relaxed);
        let is_there = |check: &Check| {
            !check.needed || checks.get(check.name).is_some_and(|answer| answer == OK)
        };
        Report {
            ready: !closing && self.0.checks.iter().all(is_there),
            closing,
            checks,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_that_does_not_answer_is_named() {
        let readiness = Readiness::new(vec![
            Check::new("queue", async || Ok(())),
            Check::new("store", std::future::pending),
        ]);
        let report = readiness.report().await;
        assert!(!report.ready);
        assert_eq!(report.checks["queue"], "ok");
        assert_eq!(report.checks["store"], "no answer within 2 s");
    }

    #[tokio::test]
    async fn what_is_only_told_does_not_decide() {
        let readiness = Readiness::new(vec![
            Check::new("queue", async || Ok(())),
            Check::told("store_room", async || Err("the disk is full".to_owned())),
        ]);
        let report = readiness.report().await;
        assert!(report.ready);
        assert_eq!(report.checks["store_room"], "the disk is full");
    }

    #[tokio::test]
    async fn a_process_that_goes_away_is_not_ready() {
        let readiness = Readiness::new(vec![Check::new("queue", async || Ok(()))]);
        assert!(readiness.report().await.ready);
        readiness.close();
        let report = readiness.report().await;
        assert!(!report.ready && report.closing);
    }

    #[tokio::test]
    async fn many_askers_are_one_question() {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = asked.clone();
        let readiness = Readiness::new(vec![Check::new("queue", move || {
            counted.fetch_add(1, Ordering::Relaxed);
            async { Ok(()) }
        })]);
        join_all((0..100).map(|_| readiness.report())).await;
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }
}
