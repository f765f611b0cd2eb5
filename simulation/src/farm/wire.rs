//! Messages between hosts, and what the queue does when one arrives.

use std::sync::Arc;
use std::time::Duration;

use gofarm_engine::core::{Outcome, RunId, Task};
use gofarm_proto::ActionKey;
use gofarm_queue::{Lease, LeaseId, LeaseRequest, News, QueueError, Renewal};

use super::{Farm, brief};
use crate::network::Host;
use crate::promptly::promptly;

/// Memory of a worker, bytes: enough for all its slots.
const MEMORY: u64 = 16 << 30;

/// News taken at once.
const NEWS: usize = 100;

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
pub(super) enum Answer {
    Leases(Vec<Lease>),
    Renewal(Renewal),
    Completed,
    /// Lost or stolen.
    Refused,
    NotUploaded,
}

/// What a replica tells the queue; it is told again until it is acknowledged.
#[derive(Clone, Debug)]
pub(super) enum Order {
    Enqueue(Vec<Task>),
    Cancel(ActionKey, RunId),
    BackUp(ActionKey, RunId),
}

/// From a replica, by the life in which it was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sender {
    pub replica: usize,
    pub life: u32,
    /// Of the call.
    pub id: u64,
}

#[derive(Clone, Debug)]
pub(super) enum Message {
    CallToReplica(Call),
    CallToQueue(Call, u32),
    AnswerToReplica(Call, u32, Answer),
    AnswerToWorker(Call, Answer),
    OrderToQueue(Sender, Order),
    Acknowledge(Sender),
    AskNews(Sender),
    News(Sender, u64, Vec<News>),
    Reap,
}

impl Farm {
    pub(super) fn arrive(&mut self, message: Message) {
        match message {
            Message::CallToReplica(call) => {
                let (replica, life) = (call.replica, self.replicas[call.replica].life);
                if self.replicas[replica].up {
                    let message = Message::CallToQueue(call, life);
                    self.send(Host::Replica(replica), Host::Queue, message);
                }
            }
            Message::CallToQueue(call, life) => {
                let answer = self.serve(&call);
                let to = Host::Replica(call.replica);
                self.send(
                    Host::Queue,
                    to,
                    Message::AnswerToReplica(call, life, answer),
                );
            }
            Message::AnswerToReplica(call, life, answer) => {
                // The connection ended with the process.
                let replica = &self.replicas[call.replica];
                if replica.up && replica.life == life {
                    let (from, to) = (Host::Replica(call.replica), Host::Worker(call.worker));
                    self.send(from, to, Message::AnswerToWorker(call, answer));
                }
            }
            Message::AnswerToWorker(call, answer) => self.answered(call, answer),
            Message::OrderToQueue(sender, order) => self.obey(sender, order),
            Message::Acknowledge(sender) => self.acknowledged(sender),
            Message::AskNews(sender) => {
                let owner = super::replica::owner(sender.replica, sender.life);
                let incarnation = promptly(self.queue.incarnation()).unwrap_or_default();
                let news = promptly(self.queue.news(&owner, NEWS, Duration::ZERO));
                let message = Message::News(sender, incarnation, news.unwrap_or_default());
                self.send(Host::Queue, Host::Replica(sender.replica), message);
            }
            Message::News(sender, incarnation, news) => self.hear(sender, incarnation, news),
            Message::Reap => {
                // More than there can be: which of them a smaller bound lets go of first is the queue's affair, and not
                // the same in every process.
                promptly(self.queue.reap(1_000)).unwrap_or_default();
            }
        }
    }

    fn obey(&mut self, sender: Sender, order: Order) {
        let owner = super::replica::owner(sender.replica, sender.life);
        let done = match order {
            Order::Enqueue(tasks) => promptly(self.queue.enqueue(&owner, tasks)),
            Order::Cancel(key, run) => promptly(self.queue.cancel(&owner, &[(key, run)])),
            Order::BackUp(key, run) => {
                self.ledger.backed_up(&key, self.agenda.now());
                promptly(self.queue.back_up(&owner, &[(key, run)]))
            }
        };
        let stats = promptly(self.queue.stats()).unwrap_or_default();
        if stats.queued + stats.leased > self.nodes {
            self.violated(format!("the queue grows beyond its builds: {stats:?}"));
        }
        if done.is_ok() {
            let to = Host::Replica(sender.replica);
            self.send(Host::Queue, to, Message::Acknowledge(sender));
        }
    }

    /// The queue's part of a worker's call, under the eyes of the ledger.
    fn serve(&mut self, call: &Call) -> Answer {
        let now = self.agenda.now();
        let worker: Arc<str> = format!("w{}", call.worker).into();
        match &call.request {
            Request::Acquire { free, running } => {
                self.ledger.requested(now);
                let request = LeaseRequest {
                    worker: worker.clone(),
                    pools: ["default".into()].into(),
                    max: *free,
                    wait: Duration::ZERO,
                    running: *running,
                    free_memory: MEMORY,
                    total_memory: MEMORY,
                    ahead: false,
                };
                let leases = promptly(self.queue.lease(request)).unwrap_or_default();
                if leases.len() > *free {
                    self.violated(format!("{} leases for {free} slots", leases.len()));
                }
                for lease in &leases {
                    if let Err(offence) = self.ledger.given(lease, &worker, now) {
                        self.violated(offence);
                    }
                    let id = lease.id;
                    self.note(|| {
                        let key = brief(&id.key.0);
                        format!("queue: {key} leased to {worker} as {:?}", id.token)
                    });
                }
                Answer::Leases(leases)
            }
            Request::Renew(id) => {
                let renewals = promptly(self.queue.renew(&[*id])).unwrap_or_default();
                let renewal = renewals.first().copied().unwrap_or(Renewal::Lost);
                if let Renewal::Held { deadline, .. } = renewal
                    && let Err(offence) = self.ledger.renewed(id, deadline.0, now)
                {
                    self.violated(offence);
                }
                Answer::Renewal(renewal)
            }
            Request::Complete(id, outcome) => self.serve_complete(id, outcome),
        }
    }

    fn serve_complete(&mut self, id: &LeaseId, outcome: &Outcome) -> Answer {
        let now = self.agenda.now();
        let done = promptly(self.queue.complete(id, outcome.clone()));
        self.note(|| {
            let key = brief(&id.key.0);
            let how = format!("{outcome:?}").chars().take(40).collect::<String>();
            format!("queue: complete {key} {:?} with {how}: {done:?}", id.token)
        });
        match done {
            Ok(_) => {
                if let Err(offence) = self.ledger.completed(id, outcome, now) {
                    self.violated(offence);
                }
                if let Outcome::Succeeded(result) = outcome
                    && let Some(output) = result.outputs.iter().find(|o| !self.store.has(&o.digest))
                {
                    let text = format!("a result was accepted without its blob {}", output.digest);
                    self.violated(text);
                }
                Answer::Completed
            }
            Err(QueueError::NotUploaded { .. }) => Answer::NotUploaded,
            Err(_) => Answer::Refused,
        }
    }
}
