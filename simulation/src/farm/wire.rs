//! Messages between hosts.

use std::sync::Arc;

use gofarm_engine::core::{News, Outcome};
use gofarm_engine::registry::{Append, Ownership, Restore, Tenure};
use gofarm_engine::{Away, Left, QueueSeen, ToQueue, WriteOutcome, Written};
use gofarm_queue::{Lease, LeaseId, Renewal};

use super::registry;

/// A worker's call of the leases service.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub worker: usize,
    pub life: u32,
    pub id: u64,
    /// The replica that passes it on.
    pub replica: usize,
    pub request: Request,
}

#[derive(Clone, Debug)]
pub(super) enum Request {
    Acquire { free: usize, running: usize },
    Renew(LeaseId),
    Complete(LeaseId, Outcome),
}

#[derive(Clone, Debug)]
pub(super) enum CallAnswer {
    Leases(Vec<Lease>),
    Renewal(Renewal),
    Completed,
    /// Lost or stolen.
    Refused,
    NotUploaded,
}

/// What a replica asks of Redis, or tells it.
#[derive(Clone, Debug)]
pub(super) enum Ask {
    /// Told again until it is acknowledged.
    Tell(Vec<ToQueue>),
    /// After those up to this number, which have arrived.
    News(u64),
    Look,
    Renew(Vec<Ownership>),
    TakeOver(usize),
    /// Asked again until it is answered.
    Read(Ownership),
    Write {
        restores: Vec<Restore>,
        appends: Vec<Append>,
    },
    Release(Vec<Ownership>),
}

/// See [`Ask`].
#[derive(Debug)]
pub(super) enum Answer {
    Told,
    /// Numbered.
    News(Vec<(u64, News)>),
    Seen(QueueSeen),
    Tenures(Vec<Tenure>),
    Taken(Vec<Ownership>),
    Left(Ownership, Option<Box<Left>>),
    Written(Vec<Written>),
}

/// What became of writing that nobody has answered.
pub(super) fn not_written(restores: Vec<Restore>, appends: Vec<Append>) -> Vec<Written> {
    let restores = restores.into_iter().map(|restore| Written {
        ownership: restore.ownership,
        outcome: WriteOutcome::Restored(Err(Away)),
    });
    let appends = appends.into_iter().map(|append| Written {
        outcome: registry::outcome(&append, Err(Away)),
        ownership: append.ownership,
    });
    restores.chain(appends).collect()
}

/// From a replica, by the life in which it was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sender {
    pub replica: usize,
    pub life: u32,
    /// Of the call.
    pub id: u64,
    /// Which try of it.
    pub tried: u32,
}

#[derive(Clone, Debug)]
pub(super) enum Message {
    CallToReplica(Call),
    CallToQueue(Call, u32),
    AnswerToReplica(Call, u32, CallAnswer),
    AnswerToWorker(Call, CallAnswer),
    Ask(Sender, Ask),
    Answer(Sender, Arc<Answer>),
}

impl Message {
    /// The replica that it comes to, and the life in which that has to be.
    pub fn replica(&self) -> Option<(usize, Option<u32>)> {
        match self {
            Message::CallToReplica(call) => Some((call.replica, None)),
            Message::AnswerToReplica(call, life, _) => Some((call.replica, Some(*life))),
            Message::Answer(sender, _) => Some((sender.replica, Some(sender.life))),
            Message::CallToQueue(..) | Message::AnswerToWorker(..) | Message::Ask(..) => None,
        }
    }
}
