//! What workers and the service say to each other, read and written.

use std::sync::Arc;
use std::time::Duration;

use gofarm_daemon::Spans;
use gofarm_proto::v1;
use tonic::Status;

use gofarm_engine::convert;
use gofarm_engine::core::{Outcome, PoolName, platform_pool};
use gofarm_queue::{FencingToken, Lease, LeaseId, LeaseRequest, Renewal, TaskOutput};

/// The pool of workers that name none.
const DEFAULT_POOL: &str = "default";
/// The longest name of a worker, and of a platform, bytes.
const TEXT_BYTES: usize = 4 << 10;

/// A worker with room, as the queue and as people see it.
pub(super) struct Asked {
    pub worker: v1::Worker,
    pub request: LeaseRequest,
}

impl Asked {
    pub fn read(message: v1::AcquireRequest) -> Result<Asked, Status> {
        if message.worker.is_empty() {
            return Err(malformed("a worker without a name asks for tasks"));
        }
        let texts = message.platforms.iter().chain([&message.worker]);
        if let Some(long) = texts.max_by_key(|text| text.len())
            && long.len() > TEXT_BYTES
        {
            let (length, start) = (long.len(), long.chars().take(64));
            return Err(malformed(format!(
                "a name of {length} bytes, which may have {TEXT_BYTES}: {:?}",
                start.collect::<String>()
            )));
        }
        let pool = match message.pool.as_str() {
            "" => DEFAULT_POOL,
            pool => pool,
        };
        let named: Result<PoolName, _> = pool.parse();
        named.map_err(|error| malformed(error.to_string()))?;
        let pools: Arc<[Arc<str>]> = message
            .platforms
            .iter()
            .map(|platform| Ok(platform_pool(pool, &read_platform(platform)?).into()))
            .collect::<Result<_, Status>>()?;
        if pools.is_empty() {
            return Err(malformed("a worker without a platform asks for tasks"));
        }
        // A worker that has asked for some of its slots already asks only for the others: idle is who has all its memory.
        let running = match message.free_memory == message.total_memory {
            _ if message.ahead => message.slots,
            true => 0,
            false => message.slots.saturating_sub(message.free_slots).max(1),
        };
        Ok(Asked {
            request: LeaseRequest {
                worker: message.worker.as_str().into(),
                pools,
                max: message.free_slots as usize,
                wait: Duration::from_millis(message.wait_ms.into()),
                running: running as usize,
                free_memory: message.free_memory,
                total_memory: message.total_memory,
                ahead: message.ahead,
            },
            worker: v1::Worker {
                name: message.worker,
                pool: pool.to_owned(),
                slots: message.slots,
                running: running.min(message.slots),
                memory: message.total_memory,
                seen_ms: 0,
                platforms: message.platforms,
                set_aside: String::new(),
                c_toolchains: message.c_toolchains,
            },
        })
    }
}

/// `os/arch` or `os/arch/ID`.
fn read_platform(text: &str) -> Result<v1::Platform, Status> {
    let mut parts = text.splitn(3, '/').map(str::to_owned);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(os), Some(arch), c_toolchain) if !os.is_empty() && !arch.is_empty() => {
            Ok(v1::Platform {
                os,
                arch,
                c_toolchain: c_toolchain.unwrap_or_default(),
            })
        }
        _ => Err(malformed(format!("{text:?} is no platform"))),
    }
}

pub(super) fn lease(lease: &Lease, spans: &Spans) -> v1::Lease {
    let task = &lease.task;
    v1::Lease {
        id: Some(v1::LeaseId {
            key: lease.id.key.0.to_vec(),
            token: Some(v1::FencingToken {
                incarnation: lease.id.token.incarnation,
                counter: lease.id.token.counter,
            }),
        }),
        task: Some(v1::Task {
            definition: Some(task.definition.into()),
            produced: task
                .produced
                .iter()
                .map(|digest| (*digest).into())
                .collect(),
            label: task.label.to_string(),
            memory_estimate: task.memory_estimate.unwrap_or(0),
            exclusive: task.exclusive,
            attempt: task.attempt,
            trace: spans.traceparent(task.share.build.0, &task.key),
        }),
        ttl_ms: lease.ttl.as_millis() as u64,
    }
}

pub(super) fn lease_id(message: &v1::LeaseId) -> Result<LeaseId, Status> {
    let token = message
        .token
        .ok_or_else(|| malformed("a lease without a token"))?;
    Ok(LeaseId {
        key: convert::key(&message.key).map_err(malformed)?,
        token: FencingToken {
            incarnation: token.incarnation,
            counter: token.counter,
        },
    })
}

pub(super) fn outcome(message: Option<v1::Outcome>) -> Result<Outcome, Status> {
    let outcome = convert::outcome(message.unwrap_or_default()).map_err(malformed)?;
    match &outcome {
        Outcome::Succeeded(result) if result.exit_code != 0 => Err(malformed(format!(
            "a success with exit code {}",
            result.exit_code
        ))),
        Outcome::Failed(result) if result.exit_code == 0 => {
            Err(malformed("a failure with exit code 0"))
        }
        _ => Ok(outcome),
    }
}

pub(super) fn output(message: v1::TaskOutput) -> Result<TaskOutput, Status> {
    Ok(TaskOutput {
        lease: lease_id(&message.lease.unwrap_or_default())?,
        offset: message.offset,
        data: message.data.as_ref().into(),
    })
}

pub(super) fn state(renewal: &Renewal) -> i32 {
    match renewal {
        Renewal::Held {
            cancelled: true, ..
        } => v1::LeaseState::LeaseCancelled,
        Renewal::Held { .. } => v1::LeaseState::LeaseHeld,
        Renewal::Lost => v1::LeaseState::LeaseLost,
        Renewal::Stolen => v1::LeaseState::LeaseStolen,
    }
    .into()
}

fn malformed(problem: impl ToString) -> Status {
    Status::invalid_argument(problem.to_string())
}
