//! What becomes of a message where it arrives, above all what the queue and Redis do.

use std::sync::Arc;
use std::time::Duration;

use gofarm_engine::core::{News, Outcome};
use gofarm_engine::{QueueSeen, ToQueue};
use gofarm_queue::{LeaseId, LeaseRequest, QueueError, Renewal};

use super::replica::{Errand, ReplicaEvent, owner};
use super::wire::{Answer, Ask, Call, CallAnswer, Message, Request, Sender};
use super::{Event, Farm, brief};
use crate::network::Host;
use crate::promptly::promptly;

/// Memory of a worker, bytes: enough for all its slots.
const MEMORY: u64 = 16 << 30;

/// News taken at once.
const NEWS: usize = 100;

impl Farm {
    pub(super) fn arrive(&mut self, message: Message) {
        if let Some((at, life)) = message.replica() {
            let replica = &self.replicas[at];
            // Connections end with their process, and wait while it stands still.
            if !replica.up || life.is_some_and(|life| replica.life != life) {
                return;
            }
            if replica.paused {
                return self.hold(at, Event::Arrive(message));
            }
        }
        match message {
            Message::CallToReplica(call) => {
                let (replica, life) = (call.replica, self.replicas[call.replica].life);
                let message = Message::CallToQueue(call, life);
                self.send(Host::Replica(replica), Host::Queue, message);
            }
            Message::CallToQueue(call, life) => {
                let answer = self.serve(&call);
                let to = Host::Replica(call.replica);
                let message = Message::AnswerToReplica(call, life, answer);
                self.send(Host::Queue, to, message);
            }
            Message::AnswerToReplica(call, life, answer) => {
                if let CallAnswer::Completed = answer
                    && let Request::Complete(lease, Outcome::Succeeded(result)) = &call.request
                {
                    self.replicas[call.replica].was_told(lease.key);
                    let since = self.agenda.now();
                    let errand = Errand::Record(lease.key, result.clone());
                    let event = ReplicaEvent::Store(errand, since);
                    self.agenda
                        .after(0, Event::Replica(call.replica, life, event));
                }
                let (from, to) = (Host::Replica(call.replica), Host::Worker(call.worker));
                self.send(from, to, Message::AnswerToWorker(call, answer));
            }
            Message::AnswerToWorker(call, answer) => self.answered(call, answer),
            Message::Ask(sender, ask) => self.obey(sender, ask),
            Message::Answer(sender, answer) => {
                if let Some(answer) = Arc::into_inner(answer) {
                    self.hear(sender, answer);
                }
            }
        }
    }

    /// What Redis does when a replica asks it.
    fn obey(&mut self, sender: Sender, ask: Ask) {
        let owner = owner(sender.replica, sender.life);
        let now = self.time();
        let answer = match ask {
            Ask::Tell(said) => {
                for said in said {
                    let done = match said {
                        ToQueue::Enqueue(task) => promptly(self.queue.enqueue(&owner, vec![*task])),
                        ToQueue::Cancel(key, run) => {
                            promptly(self.queue.cancel(&owner, &[(key, run)]))
                        }
                        ToQueue::BackUp(key, run) => {
                            self.ledger.backed_up(&key, self.agenda.now());
                            promptly(self.queue.back_up(&owner, &[(key, run)]))
                        }
                    };
                    if done.is_err() {
                        return;
                    }
                }
                let stats = promptly(self.queue.stats()).unwrap_or_default();
                if stats.queued + stats.leased > self.nodes {
                    self.violated(format!("the queue grows beyond its builds: {stats:?}"));
                }
                Answer::Told
            }
            Ask::News(heard) => {
                let news = promptly(self.queue.news(&owner, NEWS, Duration::ZERO));
                let news: Vec<(u64, News)> = news
                    .unwrap_or_default()
                    .into_iter()
                    .map(|news| (self.next_call(), news))
                    .collect();
                let mailbox = self.mailboxes.entry(owner).or_default();
                mailbox.retain(|(number, _)| *number > heard);
                mailbox.extend(news);
                Answer::News(mailbox.clone())
            }
            Ask::Look => {
                // More than there can be: which of them a smaller bound lets go of first is the queue's affair, and not
                // the same in every process.
                let reaped = promptly(self.queue.reap(1_000)).unwrap_or_default();
                Answer::Seen(QueueSeen {
                    incarnation: promptly(self.queue.incarnation()).unwrap_or_default(),
                    next: reaped.next,
                })
            }
            Ask::Renew(held) => Answer::Tenures(self.registry.renew(&held, now)),
            Ask::TakeOver(most) => {
                let taken = self.registry.take_over(&owner, most, now);
                for ownership in &taken {
                    let lost = self.registry.has_lost();
                    self.builds[ownership.build.0 as usize].taken_over(lost);
                }
                Answer::Taken(taken)
            }
            Ask::Read(ownership) => {
                let left = self.registry.left(ownership.build);
                self.note(|| {
                    format!(
                        "{owner} reads of build {}: {:?}",
                        ownership.build.0,
                        left.as_ref().map(|left| left.events.len())
                    )
                });
                Answer::Left(ownership, left.map(Box::new))
            }
            Ask::Write { restores, appends } => {
                self.note(|| {
                    let appends = appends
                        .iter()
                        .map(|a| (a.ownership.build.0, a.after, a.up_to()));
                    let restores = restores.iter().map(|r| (r.ownership.build.0, r.confirmed));
                    format!(
                        "{owner} writes {:?}, restores {:?}",
                        appends.collect::<Vec<_>>(),
                        restores.collect::<Vec<_>>()
                    )
                });
                let (written, offence) = self.registry.write(restores, appends, now);
                if let Some(offence) = offence {
                    self.violated(offence);
                }
                Answer::Written(written)
            }
            Ask::Release(held) => return self.registry.release(&held, now),
        };
        let to = Host::Replica(sender.replica);
        let answer = Message::Answer(sender, Arc::new(answer));
        self.send_once(Host::Queue, to, answer);
    }

    /// The queue's part of a worker's call, under the eyes of the ledger.
    fn serve(&mut self, call: &Call) -> CallAnswer {
        let now = self.agenda.now();
        let worker: Arc<str> = format!("w{}", call.worker).into();
        match &call.request {
            Request::Acquire { free, running } => {
                let pools = self.pools_of(call.worker);
                self.ledger.requested(&pools, now);
                let request = LeaseRequest {
                    worker: worker.clone(),
                    pools,
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
                CallAnswer::Leases(leases)
            }
            Request::Renew(id) => {
                let renewals = promptly(self.queue.renew(&[*id])).unwrap_or_default();
                let renewal = renewals.first().copied().unwrap_or(Renewal::Lost);
                if let Renewal::Held { deadline, .. } = renewal
                    && let Err(offence) = self.ledger.renewed(id, deadline.0, now)
                {
                    self.violated(offence);
                }
                CallAnswer::Renewal(renewal)
            }
            Request::Complete(id, outcome) => self.serve_complete(id, outcome),
        }
    }

    fn serve_complete(&mut self, id: &LeaseId, outcome: &Outcome) -> CallAnswer {
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
                CallAnswer::Completed
            }
            Err(QueueError::NotUploaded { .. }) => CallAnswer::NotUploaded,
            Err(_) => CallAnswer::Refused,
        }
    }
}
