//! From the inputs of a task to its reported end.

use std::sync::Arc;

use gofarm_engine::core::{ActionResult, Outcome};
use gofarm_proto::ActionKey;
use gofarm_queue::FencingToken;

use super::super::Farm;
use super::super::wire::Request;
use super::{ANSWER_MS, Phase, WorkerEvent};
use crate::flaw::Flaw;
use crate::network::Host;
use crate::shape;
use crate::weather::SLOWER;

/// How long a store that cannot be reached is left alone, milliseconds.
const STORE_MS: u64 = 200;

impl Farm {
    pub(super) fn stage(&mut self, at: usize, token: FencingToken) {
        let Some(held) = self.workers[at].held.get(&token) else {
            return;
        };
        if held.phase != Phase::Staging {
            return;
        }
        let (task, id) = (held.lease.task.clone(), held.lease.id);
        // A worker that stood still may get so far before its own clock stops it.
        let alone = self.agenda.now() < held.expires() && !self.ledger.may_share(&id.token);
        if !self.network.reaches(Host::Worker(at), Host::Store) {
            return self.worker_after(at, STORE_MS, WorkerEvent::Stage(token));
        }
        let mut missing = Vec::new();
        for digest in task.produced.iter().chain([&task.definition]) {
            if self.store.has(digest) {
                self.workers[at].blobs.insert(*digest);
            } else if !self.workers[at].blobs.contains(digest) {
                missing.push(*digest);
            }
        }
        if !missing.is_empty() {
            return self.complete(at, token, Outcome::BlobsMissing(missing.into()));
        }
        for other in (0..self.workers.len()).filter(|other| *other != at) {
            let running = self.workers[other].runs(&task, id.token.incarnation);
            if alone && running.is_some_and(|token| !self.ledger.may_share(&token)) {
                self.violated(format!(
                    "{} runs on w{other} and on w{at} at once",
                    task.key
                ));
            }
        }
        let exclusive = task.exclusive;
        let outcome = if self.random.chance(self.weather.crashes) {
            Outcome::Crashed {
                reason: "disk full".into(),
            }
        } else if !exclusive && self.random.chance(self.weather.out_of_memory) {
            Outcome::OutOfMemory {
                alone: exclusive || self.run.flaw == Some(Flaw::SaysAlone),
                reason: "x".into(),
            }
        } else {
            let key = match self.run.flaw {
                Some(Flaw::MixesUpResults) if self.random.chance(50) => ActionKey([7; 32]),
                _ => task.key,
            };
            let result = Arc::new(shape::execute(&task.label, &key, &task.produced));
            match result.exit_code {
                0 => Outcome::Succeeded(result),
                _ => Outcome::Failed(result),
            }
        };
        if let Some(held) = self.workers[at].held.get_mut(&token) {
            held.phase = Phase::Running(outcome);
        }
        let mut duration = self.random.between(1, self.weather.longest);
        if self.agenda.now() < self.workers[at].slow_until {
            duration *= SLOWER;
        }
        self.worker_after(at, duration, WorkerEvent::End(token));
    }

    pub(super) fn end(&mut self, at: usize, token: FencingToken) {
        let Some(held) = self.workers[at].held.get_mut(&token) else {
            return;
        };
        let Phase::Running(outcome) = &held.phase else {
            return;
        };
        let outcome = outcome.clone();
        self.report.executions += 1;
        match outcome {
            Outcome::Succeeded(result) if self.run.flaw != Some(Flaw::CompleteFirst) => {
                held.phase = Phase::Uploading(result.clone());
                let digests = result.outputs.iter().map(|output| output.digest);
                self.workers[at].blobs.extend(digests);
                let delay = 1 + self.network.delay(&mut self.random);
                self.worker_after(at, delay, WorkerEvent::Upload(token));
            }
            outcome => self.complete(at, token, outcome),
        }
    }

    pub(super) fn upload(&mut self, result: &ActionResult) {
        for output in &result.outputs {
            self.store.put(output.digest);
        }
    }

    pub(super) fn uploaded(&mut self, at: usize, token: FencingToken) {
        let held = self.workers[at].held.get(&token);
        let Some(Phase::Uploading(result)) = held.map(|held| &held.phase) else {
            return;
        };
        let result = result.clone();
        if !self.network.reaches(Host::Worker(at), Host::Store) {
            return self.worker_after(at, STORE_MS, WorkerEvent::Upload(token));
        }
        self.upload(&result);
        self.complete(at, token, Outcome::Succeeded(result));
    }

    pub(super) fn complete(&mut self, at: usize, token: FencingToken, outcome: Outcome) {
        if let Some(held) = self.workers[at].held.get_mut(&token) {
            held.phase = Phase::Completing(outcome.clone());
            let request = Request::Complete(held.lease.id, outcome);
            self.call_about(at, token, request, ANSWER_MS);
        }
    }
}
