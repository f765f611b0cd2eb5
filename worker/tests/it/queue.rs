//! A queue that a test holds in its hands.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use gofarm_worker::{
    Capacity, ExecuteError, Execution, Lease, LeaseSource, LeaseToken, Renewal, SourceError, Task,
};
use tokio::sync::Notify;

/// What became of a lease.
#[derive(Debug)]
pub enum End {
    Completed(Execution),
    Failed(ExecuteError),
    Released,
}

/// A queue in memory. Leases that do not fit are handed out all the same: the worker has to mind.
#[derive(Default)]
pub struct Queue {
    pub ready: Mutex<VecDeque<Lease>>,
    bell: Notify,
    closed: AtomicBool,
    pub unreachable: AtomicBool,
    pub answers: Mutex<HashMap<u64, Renewal>>,
    pub renewed: Mutex<Vec<u64>>,
    pub fetched: Mutex<Vec<u64>>,
    pub logs: Mutex<HashMap<u64, String>>,
    pub ends: Mutex<Vec<(u64, End)>>,
    /// Of which lease nothing is printed without a panic.
    pub panics_over: Mutex<Option<u64>>,
}

impl Queue {
    pub fn put(&self, counter: u64, task: Task, memory: u64, ttl: Duration) {
        let token = LeaseToken {
            incarnation: 1,
            counter,
        };
        self.ready.lock().unwrap().push_back(Lease {
            token,
            task,
            memory,
            ttl,
        });
        self.bell.notify_one();
    }

    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.bell.notify_one();
    }

    pub async fn line(&self, counter: u64, prefix: &str) -> String {
        for _ in 0..2000 {
            let found = self.logs.lock().unwrap().get(&counter).and_then(|text| {
                text.lines()
                    .find_map(|line| line.strip_prefix(prefix))
                    .map(str::to_owned)
            });
            if let Some(found) = found {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("no line {prefix:?}");
    }

    pub fn has_ended(&self, counter: u64) -> bool {
        self.ends
            .lock()
            .unwrap()
            .iter()
            .any(|(ended, _)| *ended == counter)
    }
}

#[async_trait]
impl LeaseSource for Queue {
    async fn acquire(&self, capacity: Capacity) -> Result<Option<Vec<Lease>>, SourceError> {
        assert!(capacity.slots > 0);
        loop {
            {
                let mut ready = self.ready.lock().unwrap();
                let count = ready.len().min(capacity.slots);
                if count > 0 {
                    return Ok(Some(ready.drain(..count).collect()));
                }
            }
            if self.closed.load(Ordering::SeqCst) {
                return Ok(None);
            }
            self.bell.notified().await;
        }
    }

    async fn renew(&self, token: LeaseToken) -> Result<Renewal, SourceError> {
        if self.unreachable.load(Ordering::SeqCst) {
            return Err(SourceError("no answer".to_owned()));
        }
        self.renewed.lock().unwrap().push(token.counter);
        let answers = self.answers.lock().unwrap();
        let kept = Renewal::Kept {
            ttl: Duration::from_millis(300),
        };
        Ok(answers.get(&token.counter).copied().unwrap_or(kept))
    }

    async fn fetch(&self, lease: &Lease) -> Result<bool, ExecuteError> {
        self.fetched.lock().unwrap().push(lease.token.counter);
        Ok(false)
    }

    async fn complete(&self, token: LeaseToken, execution: Execution) -> Result<(), SourceError> {
        self.ends
            .lock()
            .unwrap()
            .push((token.counter, End::Completed(execution)));
        Ok(())
    }

    async fn fail(&self, token: LeaseToken, error: ExecuteError) -> Result<(), SourceError> {
        self.ends
            .lock()
            .unwrap()
            .push((token.counter, End::Failed(error)));
        Ok(())
    }

    async fn release(&self, token: LeaseToken) -> Result<(), SourceError> {
        self.ends
            .lock()
            .unwrap()
            .push((token.counter, End::Released));
        Ok(())
    }

    fn log(&self, token: LeaseToken, chunk: &[u8]) {
        let mut logs = self.logs.lock().unwrap();
        logs.entry(token.counter)
            .or_default()
            .push_str(&String::from_utf8_lossy(chunk));
        drop(logs);
        let panics = *self.panics_over.lock().unwrap() == Some(token.counter);
        assert!(!panics, "no more of this");
    }
}
