//! Asking the farm for tasks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gofarm_daemon::{now, vital};
use gofarm_proto::v1;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::held::Traced;
use super::message::{Granted, granted};
use super::shared::Shared;
use crate::leasing::{Capacity, Lease, SourceError};

/// How long an idle worker waits for an answer, and one that runs something: its room changes soon.
const WAIT_IDLE: Duration = Duration::from_secs(20);
const WAIT_BUSY: Duration = Duration::from_secs(5);

/// A call whose answer is so much later than it should be is given up.
const PATIENCE: Duration = Duration::from_secs(15);

/// When the worker drains, the farm is told to answer what is under way; a call that still has no answer after this time is
/// broken off.
const HANG_UP: Duration = Duration::from_secs(2);

/// So many calls are under way at most: one with the room that there was, one with the room that has come since. Beside
/// them there may be as many that were begun before there was any, to take ahead.
const MOST_CALLS: usize = 2;

type Answer = Result<Vec<Lease>, SourceError>;

/// A call that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Call {
    /// So many were asked for.
    slots: usize,
    /// To be taken ahead.
    ahead: bool,
}

/// The calls that are under way, and their answers.
///
/// A call is never broken off when the room changes: what the farm gave in just that moment would be lost until its lease
/// runs out. It goes on by itself, and its answer is there for whoever asks next.
#[derive(Debug)]
pub(super) struct Asking {
    calls: Arc<Mutex<Vec<Call>>>,
    answers: tokio::sync::Mutex<mpsc::Receiver<Answer>>,
    answered: mpsc::Sender<Answer>,
}

impl Asking {
    pub fn new() -> Asking {
        let (answered, answers) = mpsc::channel(8);
        Asking {
            calls: Arc::default(),
            answers: tokio::sync::Mutex::new(answers),
            answered,
        }
    }

    /// Waits for tasks. Cancel safe.
    pub async fn acquire(&self, shared: &Arc<Shared>, capacity: Capacity) -> Answer {
        let mut answers = self.answers.lock().await;
        loop {
            // What came while nobody listened comes first: its slots are no longer asked for.
            if let Ok(answer) = answers.try_recv() {
                match answer {
                    Ok(leases) if leases.is_empty() => continue,
                    answer => return answer,
                }
            }
            self.ask(shared, capacity);
            match answers.recv().await {
                Some(Ok(leases)) if leases.is_empty() => {}
                Some(answer) => return answer,
                // We hold a sender ourselves.
                None => return Ok(Vec::new()),
            }
        }
    }

    /// What comes in and nobody takes, up to the end of the last call. To be called when the worker drains.
    pub async fn left(&self) -> Vec<Lease> {
        let mut answers = self.answers.lock().await;
        let mut left = Vec::new();
        // A call ends and is answered in one step, so each one that is seen under way has its answer still to come. What it
        // answers must not be taken before that is waited for.
        while self.is_under_way()
            && let Some(answer) = answers.recv().await
        {
            left.extend(answer.unwrap_or_default());
        }
        while let Ok(answer) = answers.try_recv() {
            left.extend(answer.unwrap_or_default());
        }
        left
    }

    fn is_under_way(&self) -> bool {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        !calls.is_empty()
    }

    /// Begins a call for the slots that are not asked for yet.
    fn ask(&self, shared: &Arc<Shared>, capacity: Capacity) {
        let ahead = capacity.ahead;
        let begun = {
            let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            // A call that takes ahead knows nothing of room that has come since, and must not keep the farm from hearing
            // of it. If both are answered, what is too much goes back by itself.
            let counts = |call: &&Call| ahead || !call.ahead;
            let asked: usize = calls.iter().filter(counts).map(|call| call.slots).sum();
            let slots = capacity.slots.saturating_sub(asked);
            if slots == 0 || calls.iter().filter(counts).count() >= MOST_CALLS {
                return;
            }
            let begun = Call { slots, ahead };
            calls.push(begun);
            begun
        };
        let (shared, calls, answered) = (shared.clone(), self.calls.clone(), self.answered.clone());
        let asking = async move {
            let broken_off = async {
                shared.drain.cancelled().await;
                sleep(HANG_UP).await;
            };
            let answer = tokio::select! {
                answer = call(&shared, capacity, begun.slots) => answer,
                () = broken_off => Ok(Vec::new()),
            };
            end(&calls, begun, &answered, answer);
        };
        // A call that never ends counts as one that is under way: nobody would ask again.
        tokio::spawn(vital("asking for tasks", asking));
    }
}

/// In one step, so that nobody asks for these slots again before they hear of the answer.
fn end(calls: &Mutex<Vec<Call>>, ended: Call, answered: &mpsc::Sender<Answer>, answer: Answer) {
    let mut calls = calls.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(at) = calls.iter().position(|&call| call == ended) {
        calls.swap_remove(at);
    }
    // There is room for more answers than there are calls; and those who listen live as long as we do.
    let _ = answered.try_send(answer);
}

async fn call(shared: &Shared, capacity: Capacity, slots: usize) -> Answer {
    // After trouble with the disk.
    tokio::select! {
        () = sleep_until(shared.trouble.pause_until()) => {}
        () = shared.drain.cancelled() => return Ok(Vec::new()),
    }
    let wait = match capacity.idle {
        true => WAIT_IDLE,
        false => WAIT_BUSY,
    };
    let options = &shared.options;
    let total = u32::try_from(options.slots).unwrap_or(u32::MAX);
    let free = u32::try_from(slots).unwrap_or(u32::MAX).min(total);
    let request = v1::AcquireRequest {
        worker: options.worker.clone(),
        pool: options.pool.clone(),
        platforms: options.platforms.clone(),
        slots: total,
        free_slots: free,
        total_memory: options.memory,
        free_memory: match capacity.idle {
            true => options.memory,
            false => capacity.memory,
        },
        wait_ms: wait.as_millis() as u32,
        ahead: capacity.ahead,
        c_toolchains: options.c_toolchains.clone(),
    };
    let asked = Instant::now();
    let server = shared.servers.current();
    let mut client = server.leases();
    let answer = timeout(wait + PATIENCE, client.acquire(request)).await;
    let leases = match answer {
        Ok(Ok(answer)) => answer.into_inner().leases,
        Ok(Err(status)) => {
            shared.servers.turn_from(server);
            let error = server.connection.error("ask for tasks", status);
            return Err(SourceError(error.to_string()));
        }
        Err(_) => {
            shared.servers.turn_from(server);
            let address = server.connection.addresses();
            return Err(SourceError(format!("{address} does not answer")));
        }
    };
    let mut taken = Vec::with_capacity(leases.len());
    for lease in leases {
        match granted(lease) {
            Ok(granted) => taken.push(hold(shared, granted, asked)),
            Err(problem) => tracing::error!(problem, "the farm gave a lease that is none"),
        }
    }
    Ok(taken)
}

fn hold(shared: &Shared, granted: Granted, asked: Instant) -> Lease {
    let (label, attempt) = (granted.label.clone(), granted.attempt);
    let spans = &shared.options.spans;
    let traced = granted
        .trace
        .filter(|(place, sampled)| spans.follows(*place, *sampled));
    let traced = traced.map(|(parent, _)| Traced {
        parent,
        attempt,
        ready: now(),
    });
    let lease = shared.held.add(granted, traced, asked);
    let (worker, build) = (&shared.options.worker, shared.held.build(lease.token));
    tracing::info!(worker, lease = %lease.token, build, action = label, key = %lease.task.key, attempt, "leased");
    lease
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// The answer comes at any moment between the looks of whoever waits for it.
    #[tokio::test]
    async fn a_call_that_ends_while_the_worker_drains_is_not_waited_for_again() {
        let only = Call {
            slots: 1,
            ahead: false,
        };
        let meet = |turn: &AtomicU32, at: u32| {
            let mut looks = 0_u32;
            while turn.load(Ordering::Acquire) < at {
                looks += 1;
                // Two that wait for each other on one CPU.
                if looks.is_multiple_of(256) {
                    std::thread::yield_now();
                }
            }
        };
        for round in 0..20_000 {
            let asking = Asking::new();
            asking.calls.lock().unwrap().push(only);
            let turn = Arc::new(AtomicU32::new(0));
            let (calls, answered, theirs) =
                (asking.calls.clone(), asking.answered.clone(), turn.clone());
            let farm = std::thread::spawn(move || {
                theirs.store(1, Ordering::Release);
                meet(&theirs, 2);
                for step in 0..round % 512 {
                    std::hint::black_box(step);
                }
                end(&calls, only, &answered, Ok(Vec::new()));
            });
            meet(&turn, 1);
            turn.store(2, Ordering::Release);
            let left = timeout(Duration::from_secs(60), asking.left()).await;
            assert!(left.is_ok(), "round {round}");
            farm.join().unwrap();
        }
    }
}
