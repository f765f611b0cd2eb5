//! The service `gofarm.v1.Leases`: the lease queue, as workers see it.
//!
//! Everything of weight is the queue's; here requests are read, workers are noted, and a worker that cannot bring
//! anything to an end is kept from taking the farm's tasks one after the other (see `standing`).

mod by_time;
mod crashing;
mod message;
mod standing;
#[cfg(test)]
mod tests;
mod waiting;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use gofarm_daemon::Spans;
use gofarm_proto::{INLINE_LOG, v1};
use gofarm_timing::now_ms;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use self::crashing::Crashing;
use self::message::Asked;
use self::standing::{Allowance, Standings, Verdict};
use self::waiting::WaitingCalls;
use crate::blobs::refusal;
use crate::engine::Recording;
use crate::metrics::MeteredStore;
use gofarm_engine::core::{ActionResult, Outcome};
use gofarm_engine::provenance;
use gofarm_queue::{Lease, LeaseId, LeaseQueue, QueueError};

/// The longest wait for a first task that a worker may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// When a worker hangs up, the queue may be in the middle of giving it something: a wait that is broken off between two
/// looks costs nothing, a look that is broken off costs what it would have found. No look takes so long.
const MID_GIFT: Duration = Duration::from_millis(50);

/// Where workers are noted for those who list them.
pub trait WorkerTable: Send + Sync {
    /// This worker has just been heard of.
    fn note_worker(&self, worker: v1::Worker);
}

/// See the module's text.
pub struct LeasesService {
    queue: Arc<dyn LeaseQueue>,
    store: MeteredStore,
    spans: Spans,
    workers: Arc<dyn WorkerTable>,
    closing: CancellationToken,
    replica: Arc<str>,
    standings: Mutex<Standings>,
    waiting: WaitingCalls,
    crashing: Crashing,
}

impl LeasesService {
    /// The service of one replica. When `closing` is cancelled, waiting workers are sent away with an empty answer;
    /// everything else goes on until the server ends.
    pub fn new(
        queue: Arc<dyn LeaseQueue>,
        store: impl Into<MeteredStore>,
        workers: Arc<dyn WorkerTable>,
        closing: CancellationToken,
    ) -> LeasesService {
        LeasesService {
            queue,
            store: store.into(),
            spans: Spans::off(),
            workers,
            closing,
            replica: "".into(),
            standings: Mutex::default(),
            waiting: WaitingCalls::default(),
            crashing: Crashing::default(),
        }
    }

    /// Tells workers whose spans are wanted.
    pub fn with_spans(self, spans: Spans) -> LeasesService {
        LeasesService { spans, ..self }
    }

    /// Names this replica in what is noted of results.
    pub fn of_replica(self, replica: &str) -> LeasesService {
        let replica = replica.into();
        LeasesService { replica, ..self }
    }

    /// The tonic service, with room for the results of workers of an earlier version, which carry their log along.
    pub fn into_server(self) -> v1::leases_server::LeasesServer<LeasesService> {
        const LIMIT: usize = 20 << 20;
        v1::leases_server::LeasesServer::new(self)
            .max_decoding_message_size(LIMIT)
            .max_encoding_message_size(LIMIT)
    }

    fn standings(&self) -> MutexGuard<'_, Standings> {
        self.standings.lock().unwrap_or_else(|poisoned| {
            // What a panic left may contradict itself. It is soft: workers are met again.
            let mut standings = poisoned.into_inner();
            *standings = Standings::default();
            self.standings.clear_poison();
            standings
        })
    }

    /// Takes tasks for a worker, waiting for a first as long as it asks for.
    async fn grant(&self, asked: Asked) -> Result<Vec<v1::Lease>, QueueError> {
        let now = Instant::now();
        let end = now + asked.request.wait;
        let (allowance, worker) = self.standings().meet(asked.worker, now);
        self.workers.note_worker(worker);
        let mut request = asked.request;
        let name = request.worker.clone();
        if request.max == 0 {
            // It is about to leave, and then reads all its answers: if it hung up instead, what it is given in just that
            // moment would be lost until its lease runs out.
            self.waiting.dismiss(&name);
            return Ok(Vec::new());
        }
        let waiting = self.waiting.begin(&name);
        match allowance {
            Allowance::All => {}
            Allowance::Probe => request.max = request.max.min(1),
            Allowance::Nothing { until } => {
                tokio::select! {
                    () = sleep_until(end.min(until)) => {}
                    () = waiting.dismissed() => {}
                    () = self.closing.cancelled() => {}
                }
                return Ok(Vec::new());
            }
        }
        let (mut answer, answered) = oneshot::channel();
        let queue = self.queue.clone();
        // A task of its own, which outlives the call: what the queue is just giving when the worker hangs up is given
        // back, instead of being lost until its lease runs out.
        tokio::spawn(async move {
            request.wait = end.saturating_duration_since(Instant::now());
            let hung_up = async {
                answer.closed().await;
                sleep(MID_GIFT).await;
            };
            let leased = tokio::select! {
                leased = queue.lease(request) => leased,
                () = hung_up => return,
            };
            // Not heard, it is given back.
            let _ = answer.send(leased.map(|leases| Unclaimed {
                queue: queue.clone(),
                leases,
            }));
        });
        let leases = tokio::select! {
            leases = answered => match leases {
                Ok(leases) => leases.map(Unclaimed::claim)?,
                // Whoever asks for this call has panicked.
                Err(_) => return Err(QueueError::Unavailable {
                    reason: "a defect of the scheduler; its log says where".to_owned(),
                }),
            },
            () = waiting.dismissed() => Vec::new(),
            () = self.closing.cancelled() => Vec::new(),
        };
        for lease in &leases {
            self.crashing.is_told(&lease.id.key).await;
        }
        let (left, leases): (Vec<Lease>, Vec<Lease>) = {
            let (mut standings, now) = (self.standings(), Instant::now());
            let leaves = |lease: &Lease| standings.leaves(&name, &lease.id.key, now);
            leases.into_iter().partition(leaves)
        };
        give_back(&*self.queue, &left).await;
        if allowance == Allowance::Probe && !leases.is_empty() {
            self.standings().probing(&name, Instant::now());
        }
        for Lease { id, task, .. } in &leases {
            let (build, token) = (task.share.build, id.token);
            tracing::debug!(%build, action = %task.label, key = %id.key, worker = %name, lease = token.counter, "leased");
        }
        let given = leases.iter();
        Ok(given
            .map(|lease| message::lease(lease, &self.spans))
            .collect())
    }

    /// Makes a blob of a log that a worker of an earlier version has brought along: nobody else has to hold it.
    async fn put_log(&self, outcome: &mut Option<v1::Outcome>) -> Result<(), Status> {
        use v1::outcome::Outcome;
        let outcome = outcome
            .as_mut()
            .and_then(|outcome| outcome.outcome.as_mut());
        let Some(Outcome::Succeeded(result) | Outcome::Failed(result)) = outcome else {
            return Ok(());
        };
        if result.log.len() <= INLINE_LOG || result.log_blob.is_some() {
            return Ok(());
        }
        let log = std::mem::take(&mut result.log);
        let digest = self.store.put_bytes(log).await.map_err(refusal)?;
        result.log_blob = Some(digest.into());
        Ok(())
    }

    /// A result that counts is in the action cache before anybody else hears of it: the owner of its build may just
    /// have died, and whoever takes over looks there. It is tried again while the store is away; the worker
    /// need not wait for that. Should this process end before, that owner records it.
    async fn record(&self, lease: &LeaseId, worker: &str, result: &ActionResult) {
        let recording = Recording {
            key: lease.key,
            result: result.into(),
            made: provenance(worker, Some(lease.token), &self.replica, now_ms()),
        };
        if let Err(error) = recording.write(&self.store).await {
            tokio::spawn(recording.write_again(self.store.clone(), error));
        }
    }
}

/// Leases on their way to a worker that may hang up. Dropped, they are given back.
struct Unclaimed {
    queue: Arc<dyn LeaseQueue>,
    leases: Vec<Lease>,
}

impl Unclaimed {
    fn claim(mut self) -> Vec<Lease> {
        std::mem::take(&mut self.leases)
    }
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        let leases = std::mem::take(&mut self.leases);
        // Without a runtime the process is at its end, and its leases run out.
        let runtime = tokio::runtime::Handle::try_current();
        if let (false, Ok(runtime)) = (leases.is_empty(), runtime) {
            let queue = self.queue.clone();
            runtime.spawn(async move { give_back(&*queue, &leases).await });
        }
    }
}

async fn give_back(queue: &dyn LeaseQueue, leases: &[Lease]) {
    for lease in leases {
        if let Err(error) = queue.release(&lease.id).await {
            tracing::warn!(
                key = %lease.id.key, %error,
                "cannot give back a task that its worker does not get; its lease will run out"
            );
        }
    }
}

#[tonic::async_trait]
impl v1::leases_server::Leases for LeasesService {
    async fn acquire(
        &self,
        request: Request<v1::AcquireRequest>,
    ) -> Result<Response<v1::AcquireResponse>, Status> {
        let mut asked = Asked::read(request.into_inner())?;
        asked.request.wait = asked.request.wait.min(LONGEST_WAIT);
        let leases = self.grant(asked).await.map_err(unavailable)?;
        Ok(Response::new(v1::AcquireResponse { leases }))
    }

    async fn renew(
        &self,
        request: Request<v1::RenewRequest>,
    ) -> Result<Response<v1::RenewResponse>, Status> {
        let request = request.into_inner();
        let leases = request.leases.iter();
        let leases: Vec<_> = leases.map(message::lease_id).collect::<Result<_, _>>()?;
        let renewed = self.queue.renew(&leases).await.map_err(unavailable)?;
        let now = Instant::now();
        let heard = self.standings().heard(&request.worker, leases.len(), now);
        if let Some(worker) = heard {
            self.workers.note_worker(worker);
        }
        Ok(Response::new(v1::RenewResponse {
            states: renewed.iter().map(message::state).collect(),
        }))
    }

    async fn complete(
        &self,
        request: Request<v1::CompleteRequest>,
    ) -> Result<Response<v1::CompleteResponse>, Status> {
        let request = request.into_inner();
        let lease = message::lease_id(&request.lease.unwrap_or_default())?;
        let next = request.next.map(Asked::read).transpose()?;
        if let Some(v1::outcome::Outcome::Released(released)) =
            request.outcome.as_ref().and_then(|of| of.outcome.as_ref())
            && !released.reason.is_empty()
        {
            let (worker, reason) = (&request.worker, &released.reason);
            tracing::warn!(worker, key = %lease.key, reason, "a worker gives a task back");
        }
        let mut outcome = request.outcome;
        self.put_log(&mut outcome).await?;
        let outcome = message::outcome(outcome)?;
        let verdict = Verdict::of(&outcome);
        let result = match &outcome {
            Outcome::Succeeded(result) => Some(result.clone()),
            _ => None,
        };
        let crashed = matches!(verdict, Verdict::Crashed(_));
        let telling = crashed.then(|| self.crashing.tell(lease.key));
        let mut response = v1::CompleteResponse::default();
        let completed = self.queue.complete(&lease, outcome).await;
        if let Ok(worker) = &completed {
            // Who held the lease by the books of the queue, and once for each, whoever says what how often.
            let now = Instant::now();
            self.standings().judge(worker, lease.key, verdict, now);
        }
        drop(telling);
        let state = match completed {
            Ok(worker) => {
                if let Some(result) = result {
                    self.record(&lease, &worker, &result).await;
                }
                v1::LeaseState::LeaseHeld
            }
            Err(QueueError::NotUploaded { missing }) => {
                response.missing = missing.into_iter().map(Into::into).collect();
                v1::LeaseState::LeaseHeld
            }
            Err(QueueError::Lost) => v1::LeaseState::LeaseLost,
            Err(QueueError::Stolen) => v1::LeaseState::LeaseStolen,
            Err(error) => return Err(unavailable(error)),
        };
        response.set_state(state);
        if let Some(mut next) = next {
            next.request.wait = Duration::ZERO;
            match self.grant(next).await {
                Ok(leases) => response.leases = leases,
                // What was completed stays so; the worker asks again.
                Err(error) => {
                    tracing::warn!(worker = request.worker, %error, "cannot give the next tasks")
                }
            }
        }
        Ok(Response::new(response))
    }

    async fn append_log(
        &self,
        request: Request<v1::AppendLogRequest>,
    ) -> Result<Response<v1::AppendLogResponse>, Status> {
        let outputs = request.into_inner().outputs.into_iter();
        let outputs: Vec<_> = outputs.map(message::output).collect::<Result<_, _>>()?;
        let appended = self.queue.append_log(&outputs).await.map_err(unavailable)?;
        Ok(Response::new(v1::AppendLogResponse {
            states: appended.iter().map(message::state).collect(),
        }))
    }
}

/// What cannot be said now can be said later.
fn unavailable(error: QueueError) -> Status {
    Status::unavailable(error.to_string())
}
