//! What goes wrong in one run, all of it decided by the seed.

use crate::network::{Cut, Host, Quality};
use crate::random::Random;

/// A fault, with how long it lasts in milliseconds where it does.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// A worker dies, and starts again. Its local blobs survive.
    CrashWorker(usize, u64),
    /// A worker stands still, as after SIGSTOP.
    PauseWorker(usize, u64),
    /// A worker gives its leases back, goes home, and another comes.
    DrainWorker(usize, u64),
    /// A scheduler dies, and starts again. With true it has handed its builds over.
    CrashReplica(usize, u64, bool),
    /// A scheduler stands still, as after SIGSTOP, perhaps for longer than its builds are its own.
    PauseReplica(usize, u64),
    /// The queue loses all that it knows.
    ResetQueue,
    /// The registry loses all that it knows.
    ResetRegistry,
    /// Hosts cannot reach each other.
    Cut(Cut, u64),
    /// The store loses so many blobs.
    LoseBlobs(u64),
    /// The action cache loses so many entries.
    LoseActions(u64),
    /// A client cancels its build.
    Cancel(usize),
    /// What a worker begins takes [`SLOWER`] times as long.
    SlowWorker(usize, u64),
}

/// What a slow worker is slower by.
pub const SLOWER: u64 = 50;

/// How large a farm is, and what happens to it.
#[derive(Clone, Debug)]
pub struct Weather {
    /// Scheduler replicas.
    pub replicas: usize,
    /// Workers.
    pub workers: usize,
    /// Of each worker.
    pub slots: usize,
    /// The longest action, milliseconds.
    pub longest: u64,
    /// Of the network, until the calm.
    pub network: Quality,
    /// In a thousand executions: the worker breaks down over it.
    pub crashes: u64,
    /// In a thousand executions in company: out of memory.
    pub out_of_memory: u64,
    /// What is recorded of each action's duration, milliseconds: about what it takes, or far less.
    pub recorded: Option<u64>,
    /// How much longer than that a straggler takes at least, milliseconds.
    pub slack: u64,
    /// When nothing goes wrong any more, milliseconds.
    pub calm_at: u64,
    /// What happens, and when.
    pub faults: Vec<(u64, Fault)>,
}

impl Weather {
    /// Some runs have a little of everything, others much of one thing, some nothing at all.
    pub fn random(random: &mut Random, builds: usize) -> Weather {
        let replicas = random.between(1, 2) as usize;
        let workers = random.between(1, 5) as usize;
        let calm_at = random.between(5_000, 70_000);
        let mut of = |choices: &[u64]| choices[random.index(choices.len())];
        let network = Quality {
            drop: of(&[0, 0, 5, 30, 100]),
            duplicate: of(&[0, 0, 10, 100]),
            delay: of(&[1, 10, 50, 300]),
            slow: of(&[0, 0, 10, 50]),
            slow_delay: of(&[1_000, 5_000, 20_000]),
        };
        let mut weather = Weather {
            replicas,
            workers,
            slots: of(&[1, 2, 3]) as usize,
            longest: of(&[50, 1_000, 4_000, 14_000]),
            network,
            crashes: of(&[0, 0, 20, 150]),
            out_of_memory: of(&[0, 0, 30]),
            recorded: None,
            slack: 0,
            calm_at,
            faults: Vec::new(),
        };
        let kinds: Vec<u64> = (0..11).filter(|_| random.chance(450)).collect();
        let count = match kinds.is_empty() {
            true => 0,
            false => random.below(13),
        };
        for _ in 0..count {
            let kind = kinds[random.index(kinds.len())];
            let fault = weather.fault(kind, builds, random);
            weather.faults.push((random.below(calm_at), fault));
        }
        weather.stragglers(random);
        weather
    }

    /// Half of the farms know how long actions take, and some of their workers are slow for a while.
    fn stragglers(&mut self, random: &mut Random) {
        if random.chance(500) {
            return;
        }
        self.recorded = Some([self.longest / 10 + 1, self.longest / 2 + 1][random.index(2)]);
        self.slack = [300, 2_000, 10_000][random.index(3)];
        for _ in 0..random.below(4) {
            let slow = Fault::SlowWorker(random.index(self.workers), random.between(50, 25_000));
            self.faults.push((random.below(self.calm_at), slow));
        }
    }

    fn fault(&self, kind: u64, builds: usize, random: &mut Random) -> Fault {
        let worker = random.index(self.workers);
        let replica = random.index(self.replicas);
        let long = random.between(50, 25_000);
        match kind {
            0 => Fault::CrashWorker(worker, long),
            1 => Fault::PauseWorker(worker, long),
            2 => Fault::DrainWorker(worker, long),
            3 => Fault::CrashReplica(replica, long, random.chance(300)),
            4 => Fault::ResetQueue,
            9 => Fault::PauseReplica(replica, long),
            10 => Fault::ResetRegistry,
            5 => {
                let cut = match random.below(6) {
                    0 => (Host::Worker(worker), None),
                    1 => (Host::Replica(replica), None),
                    2 => (Host::Queue, None),
                    3 => (Host::Store, None),
                    4 => (Host::Replica(replica), Some(Host::Queue)),
                    _ => (Host::Worker(worker), Some(Host::Store)),
                };
                Fault::Cut(cut, long)
            }
            6 => Fault::LoseBlobs(random.between(1, 5)),
            7 => Fault::LoseActions(random.between(1, 5)),
            _ => Fault::Cancel(random.index(builds)),
        }
    }
}
