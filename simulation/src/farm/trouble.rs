//! Faults, and the calm after them.

use super::{Event, Farm};
use crate::network::Host;
use crate::weather::Fault;

/// How long the farm takes to give the builds of a dead scheduler to another, milliseconds.
const TAKEOVER_MS: u64 = 5_000;

impl Farm {
    pub(super) fn strike(&mut self, fault: Fault) {
        if self.calm {
            return;
        }
        self.note(|| format!("fault: {fault:?}"));
        match fault {
            Fault::CrashWorker(at, down) => {
                if self.workers[at].up {
                    self.crash_worker(at);
                    let life = self.workers[at].life;
                    self.agenda.after(down, Event::RestartWorker(at, life));
                }
            }
            Fault::PauseWorker(at, still) => {
                if self.pause_worker(at) {
                    let life = self.workers[at].life;
                    self.agenda.after(still, Event::ResumeWorker(at, life));
                }
            }
            Fault::DrainWorker(at, away) => {
                if self.workers[at].up {
                    self.drain_worker(at);
                    let life = self.workers[at].life;
                    self.agenda.after(away, Event::RestartWorker(at, life));
                }
            }
            Fault::CrashReplica(at, down, taken_over) => {
                if self.replicas[at].up {
                    self.crash_replica(at);
                    let life = self.replicas[at].life;
                    self.agenda.after(down, Event::RestartReplica(at, life));
                    if taken_over {
                        self.agenda.after(TAKEOVER_MS, Event::TakeOver(at));
                    }
                }
            }
            Fault::ResetQueue => {
                self.memory.reset();
                self.ledger.reset(self.agenda.now());
            }
            Fault::Cut(cut, long) => {
                self.network.cut(cut);
                self.agenda.after(long, Event::Heal(cut));
            }
            Fault::LoseBlobs(count) => {
                for _ in 0..count {
                    if let Some(digest) = self.store.lose_blob(&mut self.random) {
                        self.note(|| format!("lost blob {}", super::brief(&digest.hash)));
                    }
                }
            }
            Fault::LoseActions(count) => {
                for _ in 0..count {
                    self.store.lose_action(&mut self.random);
                }
            }
            Fault::Cancel(build) => self.cancel(build),
            Fault::SlowWorker(at, long) => {
                self.workers[at].slow_until = self.agenda.now() + long;
            }
        }
    }

    pub(super) fn restart_replica(&mut self, at: usize, life: u32) {
        if self.replicas[at].life != life || self.replicas[at].up {
            return;
        }
        self.note(|| format!("s{at} starts again"));
        self.start_replica(at);
        self.report.takeovers += 1;
        self.submit_all(at);
    }

    /// Another replica takes the builds of a dead one: from the graph, with what is cached.
    pub(super) fn take_over(&mut self, dead: usize) {
        let other = (0..self.replicas.len()).find(|at| *at != dead && self.replicas[*at].up);
        let Some(heir) = other else {
            return;
        };
        if self.replicas[dead].up {
            return;
        }
        self.note(|| format!("s{heir} takes over from s{dead}"));
        self.report.takeovers += 1;
        for at in 0..self.builds.len() {
            if self.builds[at].home == dead && self.builds[at].is_open() {
                self.builds[at].home = heir;
                self.submit(at);
            }
        }
    }

    fn submit_all(&mut self, home: usize) {
        for at in 0..self.builds.len() {
            if self.builds[at].home == home && self.builds[at].is_open() {
                self.submit(at);
            }
        }
    }

    /// From here on nothing goes wrong, and whatever is down comes back.
    pub(super) fn calm_down(&mut self) {
        self.note(|| "calm".to_owned());
        self.calm = true;
        self.network.calm();
        self.weather.crashes = 0;
        self.weather.out_of_memory = 0;
        for at in 0..self.workers.len() {
            let life = self.workers[at].life;
            self.resume_worker(at, life);
            self.speed_up_worker(at);
            if !self.workers[at].up {
                self.restart_worker(at, life);
            }
        }
        for at in 0..self.replicas.len() {
            let life = self.replicas[at].life;
            self.restart_replica(at, life);
        }
        debug_assert!(self.network.reaches(Host::Queue, Host::Store));
    }
}
