//! The life of a worker: takes leases and runs as many tasks at once as there is room for.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gofarm_timing::{Backoff, random};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

use super::hold::{Orders, hold};
use super::lease::{Capacity, Lease, LeaseSource};
use super::pace::Pace;
use super::room::{Need, Room};
use crate::running::Executor;

/// A task that was taken ahead and finds no slot for so long goes back: another worker may be idle. What was fetched for it
/// stays, so that taking it again costs little.
const AHEAD_FOR: Duration = Duration::from_millis(500);

/// How much a worker takes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerOptions {
    /// So many tasks at once at most.
    pub slots: usize,
    /// So much memory, by the estimates in the leases, bytes.
    pub memory: u64,
}

/// A worker. See [`run`](WorkerLoop::run).
pub struct WorkerLoop<S> {
    executor: Executor,
    source: Arc<S>,
    options: WorkerOptions,
    ahead: usize,
}

impl<S: LeaseSource> WorkerLoop<S> {
    /// A worker that has not begun.
    pub fn new(executor: Executor, source: Arc<S>, options: WorkerOptions) -> WorkerLoop<S> {
        WorkerLoop {
            executor,
            source,
            options,
            ahead: 0,
        }
    }

    /// Takes up to so many tasks beyond its slots while all of these are in use, and fetches what they need meanwhile: a
    /// slot that becomes free is then used at once. One that finds no slot soon goes back.
    pub fn taking_ahead(self, ahead: usize) -> WorkerLoop<S> {
        WorkerLoop { ahead, ..self }
    }

    /// Works until the queue is closed, or until `drain` is cancelled: then nothing more is taken, what waits for room is
    /// given back, and what runs is brought to its end.
    ///
    /// Dropping the future ends it at once: everything that runs is killed, and its leases expire.
    pub async fn run(&self, drain: &CancellationToken) {
        self.run_until(drain, &CancellationToken::new()).await;
    }

    /// As [`run`](WorkerLoop::run); when `give_back` is cancelled, what runs is broken off and given back.
    pub async fn run_until(&self, drain: &CancellationToken, give_back: &CancellationToken) {
        let mut slots = Slots::new(self.options, self.ahead, give_back);
        let mut open = true;
        while open || !slots.tasks.is_empty() {
            slots.begin_what_fits();
            let capacity = slots.capacity().filter(|_| open);
            let patience_ends = slots.patience_ends();
            tokio::select! {
                () = drain.cancelled(), if open => {
                    open = false;
                    slots.give_back_waiting();
                }
                Some(ended) = slots.tasks.join_next_with_id() => match ended {
                    Ok((id, ())) => slots.ended(id),
                    Err(error) => {
                        tracing::error!(%error, "a task of the worker ended badly; its lease will expire");
                        slots.ended(error.id());
                    }
                },
                Some(id) = slots.ran.recv() => slots.ran(id),
                () = until(patience_ends) => slots.give_back_ahead(Instant::now()),
                // Asked anew whenever the room changes.
                taken = self.acquire(capacity) => match taken {
                    Some(leases) => for lease in leases {
                        slots.take(lease, &self.source, &self.executor);
                    },
                    None => open = false,
                },
            }
        }
    }

    /// Takes leases, however long that takes. `None`: there will be no more.
    async fn acquire(&self, capacity: Option<Capacity>) -> Option<Vec<Lease>> {
        let Some(capacity) = capacity else {
            return std::future::pending().await;
        };
        let mut backoff = Backoff::default();
        loop {
            match self.source.acquire(capacity).await {
                Ok(leases) => return leases,
                Err(error) => {
                    let pause = backoff.pause(random());
                    tracing::warn!(%error, retry_in = ?pause, "cannot take leases");
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}

/// The leases of a worker and the room that they take.
struct Slots {
    room: Room,
    tasks: JoinSet<()>,
    occupants: HashMap<Id, Occupant>,
    /// Not yet begun, in the order in which they came: nothing overtakes a task that waits for more room.
    waiting: VecDeque<Id>,
    /// How many more may be taken while all slots are in use.
    ahead: usize,
    pace: Pace,
    /// How many are being reported, and how many may be before no more is taken: results must not pile up.
    reporting: usize,
    most_reporting: usize,
    ran: mpsc::Receiver<Id>,
    tell_ran: mpsc::Sender<Id>,
    give_back: CancellationToken,
}

/// One lease.
struct Occupant {
    need: Need,
    stage: Stage,
    /// When it was taken, if that was ahead.
    ahead: Option<Instant>,
}

enum Stage {
    /// Begins when this is sent to. Gives its lease back when this is dropped.
    Waiting(oneshot::Sender<()>),
    /// Has taken room.
    Begun,
    /// Takes no room any more; its end is being told.
    Reporting,
    /// Takes no room, and is about to end.
    GivenBack,
}

impl Slots {
    fn new(options: WorkerOptions, ahead: usize, give_back: &CancellationToken) -> Slots {
        let (tell_ran, ran) = mpsc::channel(options.slots.max(1));
        Slots {
            reporting: 0,
            most_reporting: options.slots.max(1),
            ran,
            tell_ran,
            give_back: give_back.clone(),
            room: Room::new(options.slots, options.memory),
            tasks: JoinSet::new(),
            occupants: HashMap::new(),
            waiting: VecDeque::new(),
            ahead,
            pace: Pace::new(),
        }
    }

    fn take<S: LeaseSource>(&mut self, lease: Lease, source: &Arc<S>, executor: &Executor) {
        let need = Need {
            memory: lease.memory,
            alone: lease.task.exclusive,
        };
        let (begin, begun) = oneshot::channel();
        let orders = Orders {
            begun,
            give_back: self.give_back.clone(),
            ran: self.tell_ran.clone(),
        };
        let hold = hold(source.clone(), executor.clone(), lease, orders);
        let id = self.tasks.spawn(hold).id();
        let stage = Stage::Waiting(begin);
        let full = self.room.is_full_with(self.waiting.len());
        let ahead = full.then(Instant::now);
        self.occupants.insert(id, Occupant { need, stage, ahead });
        self.waiting.push_back(id);
    }

    fn begin_what_fits(&mut self) {
        while let Some(id) = self.waiting.front() {
            // A task that has lost its lease while it waited is no longer there.
            if let Some(occupant) = self.occupants.get_mut(id) {
                if !self.room.enter(occupant.need) {
                    return;
                }
                if occupant.ahead.is_some() {
                    self.pace.began();
                }
                if let Stage::Waiting(begin) = std::mem::replace(&mut occupant.stage, Stage::Begun)
                {
                    // If it is just ending, it gives the room back as all others do.
                    let _ = begin.send(());
                }
            }
            self.waiting.pop_front();
        }
    }

    /// What there is room for; and where there is none, what may be taken ahead.
    fn capacity(&self) -> Option<Capacity> {
        if self.reporting >= self.most_reporting {
            return None;
        }
        if !self.room.is_full() {
            // Nothing more is asked for while something waits, or the small would keep the large waiting for ever.
            return self.room.capacity().filter(|_| self.waiting.is_empty());
        }
        let slots = self.ahead.saturating_sub(self.waiting.len());
        let memory = self.room.free_memory();
        (slots > 0 && memory > 0 && self.pace.may_take()).then_some(Capacity {
            slots,
            memory,
            idle: false,
            ahead: true,
        })
    }

    /// When the first that was taken ahead has waited for long enough.
    fn patience_ends(&self) -> Option<Instant> {
        let waiting = self.waiting.iter().filter_map(|id| self.occupants.get(id));
        let taken = waiting.filter_map(|occupant| occupant.ahead).min();
        taken.map(|taken| taken + AHEAD_FOR)
    }

    fn give_back_ahead(&mut self, now: Instant) {
        let (occupants, pace) = (&mut self.occupants, &mut self.pace);
        self.waiting.retain(|id| {
            let Some(occupant) = occupants.get_mut(id) else {
                return false;
            };
            let back = occupant.ahead.is_some_and(|taken| now >= taken + AHEAD_FOR);
            if back {
                occupant.stage = Stage::GivenBack;
                pace.gave_back();
            }
            !back
        });
    }

    fn give_back_waiting(&mut self) {
        for id in self.waiting.drain(..) {
            if let Some(occupant) = self.occupants.get_mut(&id) {
                occupant.stage = Stage::GivenBack;
            }
        }
    }

    /// No process of this task runs any more.
    fn ran(&mut self, id: Id) {
        if let Some(occupant) = self.occupants.get_mut(&id)
            && matches!(occupant.stage, Stage::Begun)
        {
            occupant.stage = Stage::Reporting;
            self.room.leave(occupant.need);
            self.pace.slot_freed();
            self.reporting += 1;
        }
    }

    fn ended(&mut self, id: Id) {
        match self.occupants.remove(&id) {
            Some(Occupant {
                need,
                stage: Stage::Begun,
                ..
            }) => {
                self.room.leave(need);
                self.pace.slot_freed();
            }
            Some(Occupant {
                stage: Stage::Reporting,
                ..
            }) => self.reporting -= 1,
            _ => {}
        }
    }
}
