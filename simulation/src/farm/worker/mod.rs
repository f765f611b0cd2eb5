//! A worker: takes leases, keeps them, runs, uploads, completes; and gives up what it could not keep.

mod execution;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gofarm_engine::core::{ActionResult, Outcome, Task};
use gofarm_proto::Digest;
use gofarm_queue::{FencingToken, Lease, Renewal};

use super::wire::{Call, CallAnswer, Message, Request};
use super::{Event, Farm, brief};
use crate::flaw::Flaw;
use crate::network::Host;

/// A lease is renewed when this part of its time has passed.
const RENEW_AFTER: u64 = 3;
/// A lease that could not be renewed is given up when only this part of its time is left.
const MARGIN: u64 = 5;
/// A call that is not answered for so long is made again, milliseconds.
const ANSWER_MS: u64 = 1_500;
/// The same for a renewal.
const RENEWAL_MS: u64 = 500;
/// Between questions of a worker that has just become idle; twice as long after each that was in vain.
const POLL_MS: u64 = 125;
/// At most.
const LONG_POLL_MS: u64 = 2_000;

/// One process, and the next one in its place.
pub(super) struct Worker {
    pub life: u32,
    pub up: bool,
    slots: usize,
    paused: bool,
    /// What it begins before takes longer.
    pub slow_until: u64,
    going: bool,
    held: BTreeMap<FencingToken, HeldLease>,
    /// The open question for tasks, and when it was asked.
    asking: Option<(u64, u64)>,
    /// How long it waits before it asks again.
    patience: u64,
    /// The one timer after which it asks.
    timer: u64,
    /// Open calls about leases: which, and when.
    calls: BTreeMap<u64, (FencingToken, u64)>,
    /// What happened while it stood still.
    frozen: Vec<Frozen>,
    /// Blobs in its local folder.
    blobs: BTreeSet<Digest>,
}

enum Frozen {
    Event(WorkerEvent),
    CallAnswer(Call, CallAnswer),
}

struct HeldLease {
    lease: Lease,
    /// The lease is ours from here on for its time to live: from before we asked.
    since: u64,
    phase: Phase,
}

#[derive(Clone, Debug, PartialEq)]
enum Phase {
    Staging,
    /// A process runs, and will end this way.
    Running(Outcome),
    Uploading(Arc<ActionResult>),
    Completing(Outcome),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum WorkerEvent {
    Ask(u64),
    AskTimeout(u64),
    Stage(FencingToken),
    End(FencingToken),
    Upload(FencingToken),
    Renew(FencingToken),
    CallTimeout(u64),
    Expire(FencingToken),
}

impl HeldLease {
    fn ttl(&self) -> u64 {
        self.lease.ttl.as_millis() as u64
    }

    /// When the process has to be gone, by our own clock.
    fn expires(&self) -> u64 {
        self.since + self.ttl() - self.ttl() / MARGIN
    }
}

impl Worker {
    pub fn new(slots: usize) -> Worker {
        Worker {
            life: 0,
            up: false,
            slots,
            paused: false,
            slow_until: 0,
            going: false,
            held: BTreeMap::new(),
            asking: None,
            patience: POLL_MS,
            timer: 0,
            calls: BTreeMap::new(),
            frozen: Vec::new(),
            blobs: BTreeSet::new(),
        }
    }

    /// Leases that it believes to have.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    pub fn is_idle(&self) -> bool {
        self.held.is_empty()
    }

    /// The lease under which a process of it makes this, if one does and can do so now.
    fn runs(&self, task: &Task, incarnation: u64) -> Option<FencingToken> {
        let mut held = self.held.values();
        let running = held.find(|held| {
            held.lease.id.key == task.key
                && held.lease.task.pool == task.pool
                && held.lease.id.token.incarnation == incarnation
                && matches!(held.phase, Phase::Running(_))
        });
        let running = running.filter(|_| self.up && !self.paused)?;
        Some(running.lease.id.token)
    }
}

impl Farm {
    pub(super) fn start_worker(&mut self, at: usize) {
        let worker = &mut self.workers[at];
        *worker = Worker {
            life: worker.life + 1,
            up: true,
            slow_until: worker.slow_until,
            blobs: std::mem::take(&mut worker.blobs),
            ..Worker::new(worker.slots)
        };
        self.ask(at);
    }

    pub(super) fn restart_worker(&mut self, at: usize, life: u32) {
        if self.workers[at].life == life {
            self.note(|| format!("w{at} starts again"));
            self.start_worker(at);
        }
    }

    pub(super) fn crash_worker(&mut self, at: usize) {
        let worker = &mut self.workers[at];
        *worker = Worker {
            life: worker.life,
            blobs: std::mem::take(&mut worker.blobs),
            ..Worker::new(worker.slots)
        };
    }

    pub(super) fn pause_worker(&mut self, at: usize) -> bool {
        let worker = &mut self.workers[at];
        worker.up && !std::mem::replace(&mut worker.paused, true)
    }

    /// All that happened meanwhile happens now. A process and the clock that should kill it run at once, so sometimes
    /// the result is out before.
    pub(super) fn resume_worker(&mut self, at: usize, life: u32) {
        if self.workers[at].life != life || !self.workers[at].paused {
            return;
        }
        self.note(|| format!("w{at} goes on"));
        self.workers[at].paused = false;
        let held: Vec<FencingToken> = self.workers[at].held.keys().copied().collect();
        for token in held {
            let phase = self.workers[at].held.get(&token).map(|h| h.phase.clone());
            if let Some(Phase::Running(outcome)) = phase
                && self.random.chance(500)
            {
                if let Outcome::Succeeded(result) = &outcome {
                    self.upload(result);
                }
                self.complete(at, token, outcome);
            }
        }
        for frozen in std::mem::take(&mut self.workers[at].frozen) {
            match frozen {
                Frozen::Event(event) => self.worker_event(at, life, event),
                Frozen::CallAnswer(call, answer) => self.answered(call, answer),
            }
        }
    }

    /// It is as fast as others again, with what it runs as well.
    pub(super) fn speed_up_worker(&mut self, at: usize) {
        if self.workers[at].slow_until == 0 {
            return;
        }
        self.workers[at].slow_until = 0;
        let held = self.workers[at].held.iter();
        let running = held.filter(|(_, held)| matches!(held.phase, Phase::Running(_)));
        let running: Vec<FencingToken> = running.map(|(token, _)| *token).collect();
        for token in running {
            let duration = self.random.between(1, self.weather.longest);
            self.worker_after(at, duration, WorkerEvent::End(token));
        }
    }

    /// Gives everything back and takes nothing more.
    pub(super) fn drain_worker(&mut self, at: usize) {
        self.workers[at].going = true;
        let held = self.workers[at].held.iter();
        let open = held.filter(|(_, held)| !matches!(held.phase, Phase::Completing(_)));
        let open: Vec<FencingToken> = open.map(|(token, _)| *token).collect();
        for token in open {
            self.complete(at, token, Outcome::Released);
        }
    }

    fn worker_after(&mut self, at: usize, delay: u64, event: WorkerEvent) {
        let life = self.workers[at].life;
        self.agenda.after(delay, Event::Worker(at, life, event));
    }

    pub(super) fn worker_event(&mut self, at: usize, life: u32, event: WorkerEvent) {
        let worker = &mut self.workers[at];
        if !worker.up || worker.life != life {
            return;
        }
        if worker.paused {
            return worker.frozen.push(Frozen::Event(event));
        }
        match event {
            WorkerEvent::Ask(timer) if worker.timer == timer => self.ask(at),
            WorkerEvent::Ask(_) => {}
            WorkerEvent::AskTimeout(id) => {
                if worker.asking.is_some_and(|(open, _)| open == id) {
                    worker.asking = None;
                    self.ask(at);
                }
            }
            WorkerEvent::Stage(token) => self.stage(at, token),
            WorkerEvent::End(token) => self.end(at, token),
            WorkerEvent::Upload(token) => self.uploaded(at, token),
            WorkerEvent::Renew(token) => self.renew(at, token),
            WorkerEvent::CallTimeout(id) => {
                if let Some((token, _)) = worker.calls.remove(&id) {
                    let completing = worker.held.get(&token).map(|held| held.phase.clone());
                    match completing {
                        Some(Phase::Completing(outcome)) => self.complete(at, token, outcome),
                        _ => self.renew(at, token),
                    }
                }
            }
            WorkerEvent::Expire(token) => self.expire(at, token),
        }
    }

    fn call(&mut self, at: usize, request: Request) -> u64 {
        let id = self.next_call();
        let replica = self.random.index(self.replicas.len());
        let life = self.workers[at].life;
        let call = Call {
            worker: at,
            life,
            id,
            replica,
            request,
        };
        let to = Host::Replica(replica);
        self.send(Host::Worker(at), to, Message::CallToReplica(call));
        id
    }

    fn ask(&mut self, at: usize) {
        let worker = &self.workers[at];
        let running = worker.held.len();
        let free = worker.slots.saturating_sub(running);
        if free == 0 || worker.going || worker.asking.is_some() {
            return;
        }
        let id = self.call(at, Request::Acquire { free, running });
        self.workers[at].asking = Some((id, self.agenda.now()));
        self.worker_after(at, ANSWER_MS, WorkerEvent::AskTimeout(id));
    }

    fn call_about(&mut self, at: usize, token: FencingToken, request: Request, timeout: u64) {
        let id = self.call(at, request);
        let now = self.agenda.now();
        self.workers[at].calls.insert(id, (token, now));
        self.worker_after(at, timeout, WorkerEvent::CallTimeout(id));
    }

    pub(super) fn answered(&mut self, call: Call, answer: CallAnswer) {
        let at = call.worker;
        let worker = &mut self.workers[at];
        if !worker.up || worker.life != call.life {
            return;
        }
        if worker.paused {
            return worker.frozen.push(Frozen::CallAnswer(call, answer));
        }
        if let CallAnswer::Leases(leases) = answer {
            match worker.asking {
                Some((id, asked)) if id == call.id => {
                    worker.asking = None;
                    return self.take(at, leases, asked);
                }
                // Too late: nobody waits for it any more, and the leases run out.
                _ => return,
            }
        }
        let Some((token, asked)) = worker.calls.remove(&call.id) else {
            return;
        };
        let careless = matches!(self.run.flaw, Some(Flaw::Unfenced | Flaw::NoKill));
        let Some(held) = worker.held.get_mut(&token) else {
            return;
        };
        match answer {
            CallAnswer::Renewal(Renewal::Held { cancelled, .. }) => {
                held.since = asked;
                let wait = held.ttl() / RENEW_AFTER;
                if cancelled && !matches!(held.phase, Phase::Completing(_)) {
                    self.complete(at, token, Outcome::Cancelled);
                } else {
                    self.worker_after(at, wait, WorkerEvent::Renew(token));
                }
            }
            CallAnswer::Renewal(_) if careless => {}
            CallAnswer::Renewal(_) => self.let_go(at, token, "lost"),
            CallAnswer::Completed => self.let_go(at, token, "completed"),
            CallAnswer::Refused => self.let_go(at, token, "refused"),
            CallAnswer::NotUploaded => {
                if let Phase::Completing(Outcome::Succeeded(result)) = &held.phase {
                    held.phase = Phase::Uploading(result.clone());
                    self.worker_after(at, 10, WorkerEvent::Upload(token));
                }
            }
            CallAnswer::Leases(_) => {}
        }
    }

    fn take(&mut self, at: usize, leases: Vec<Lease>, asked: u64) {
        let now = self.agenda.now();
        let patience = &mut self.workers[at].patience;
        let wait = match leases.is_empty() {
            true => std::mem::replace(patience, (*patience * 2).min(LONG_POLL_MS)),
            false => 0,
        };
        if !leases.is_empty() {
            *patience = POLL_MS;
        }
        for lease in leases {
            let token = lease.id.token;
            let held = HeldLease {
                lease,
                since: asked,
                phase: Phase::Staging,
            };
            if self.workers[at].going || held.expires() <= now {
                continue;
            }
            let (ttl, expires) = (held.ttl(), held.expires());
            self.workers[at].held.insert(token, held);
            let staging = self.random.between(1, 40);
            self.worker_after(at, staging, WorkerEvent::Stage(token));
            let renew = (asked + ttl / RENEW_AFTER).saturating_sub(now);
            self.worker_after(at, renew, WorkerEvent::Renew(token));
            self.worker_after(at, expires - now, WorkerEvent::Expire(token));
        }
        self.ask_in(at, wait);
    }

    fn ask_in(&mut self, at: usize, delay: u64) {
        let timer = self.next_call();
        self.workers[at].timer = timer;
        self.worker_after(at, delay, WorkerEvent::Ask(timer));
    }

    fn let_go(&mut self, at: usize, token: FencingToken, why: &str) {
        if let Some(held) = self.workers[at].held.remove(&token) {
            let key = held.lease.id.key;
            self.note(|| format!("w{at}: lets go of {} {token:?}: {why}", brief(&key.0)));
            self.ask_in(at, 0);
        }
    }

    fn renew(&mut self, at: usize, token: FencingToken) {
        // As the real worker: what has ended is reported, not kept.
        let held = self.workers[at].held.get(&token);
        let kept = held.filter(|held| !matches!(held.phase, Phase::Completing(_)));
        if let Some(id) = kept.map(|held| held.lease.id) {
            self.call_about(at, token, Request::Renew(id), RENEWAL_MS);
        }
    }

    fn expire(&mut self, at: usize, token: FencingToken) {
        let now = self.agenda.now();
        let Some(held) = self.workers[at].held.get(&token) else {
            return;
        };
        let expires = held.expires();
        let careless = matches!(self.run.flaw, Some(Flaw::Unfenced | Flaw::NoKill));
        if expires > now {
            self.worker_after(at, expires - now, WorkerEvent::Expire(token));
        } else if !careless || matches!(held.phase, Phase::Completing(_)) {
            self.let_go(at, token, "could not keep it");
        } else {
            self.worker_after(at, 1_000, WorkerEvent::Expire(token));
        }
    }
}
