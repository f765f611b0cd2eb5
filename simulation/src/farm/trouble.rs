//! Faults, and the calm after them.

use super::replica::ReplicaEvent;
use super::{Event, Farm};
use crate::network::Host;
use crate::weather::Fault;

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
            Fault::CrashReplica(at, down, in_order) => {
                if self.replicas[at].up {
                    match in_order && !self.replicas[at].paused {
                        true => self.stop_replica(at),
                        false => self.crash_replica(at),
                    }
                    let life = self.replicas[at].life;
                    self.agenda.after(down, Event::RestartReplica(at, life));
                }
            }
            Fault::PauseReplica(at, still) => {
                if self.pause_replica(at) {
                    self.replica_after(at, still, ReplicaEvent::Resume);
                }
            }
            Fault::ResetRegistry => {
                self.registry.reset();
                self.builds.iter_mut().for_each(super::Build::lost);
            }
            Fault::ResetQueue => {
                self.memory.reset();
                self.mailboxes.clear();
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
    }

    /// From here on nothing goes wrong, and whatever is down comes back.
    pub(super) fn calm_down(&mut self) {
        self.note(|| "calm".to_owned());
        self.calm = true;
        self.calm_since = self.agenda.now();
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
            self.resume_replica(at, life);
            self.restart_replica(at, life);
        }
        debug_assert!(self.network.reaches(Host::Queue, Host::Store));
    }
}
