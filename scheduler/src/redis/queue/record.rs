//! Tasks and news as bytes.

use std::sync::Arc;

use gofarm_proto::{ActionKey, Digest, v1};
use prost::Message;

use gofarm_engine::convert::{self, Malformed};
use gofarm_engine::core::{BuildId, Outcome, Priority, RunId, Share, Task};
use gofarm_queue::{FencingToken, News};

/// What of a task its worker needs and the scripts do not look at.
#[derive(Clone, PartialEq, prost::Message)]
struct Record {
    #[prost(uint64, tag = "1")]
    run: u64,
    #[prost(message, optional, tag = "2")]
    definition: Option<v1::Digest>,
    #[prost(message, repeated, tag = "3")]
    produced: Vec<v1::Digest>,
    #[prost(string, tag = "4")]
    label: String,
    #[prost(string, tag = "5")]
    package: String,
    #[prost(enumeration = "v1::Kind", tag = "6")]
    kind: i32,
    #[prost(string, tag = "7")]
    pool: String,
    #[prost(uint64, optional, tag = "8")]
    memory_estimate: Option<u64>,
    #[prost(uint32, tag = "9")]
    attempt: u32,
    #[prost(uint64, optional, tag = "10")]
    duration_estimate: Option<u64>,
    #[prost(string, tag = "11")]
    user: String,
    /// 16 bytes, big endian.
    #[prost(bytes = "vec", tag = "12")]
    build: Vec<u8>,
}

pub(super) fn encode_task(task: &Task) -> Vec<u8> {
    let record = Record {
        run: task.run.0,
        definition: Some(task.definition.into()),
        produced: task
            .produced
            .iter()
            .map(|digest| (*digest).into())
            .collect(),
        label: task.label.to_string(),
        package: task.package.to_string(),
        kind: task.kind.into(),
        pool: task.pool.to_string(),
        memory_estimate: task.memory_estimate,
        attempt: task.attempt,
        duration_estimate: task.duration_estimate,
        user: task.share.user.to_string(),
        build: task.share.build.0.to_be_bytes().to_vec(),
    };
    record.encode_to_vec()
}

/// Reads a task. Priority and exclusiveness are what the queue has made of those of all its owners.
pub(super) fn decode_task(
    key: ActionKey,
    bytes: &[u8],
    inverted_priority: &[u8],
    exclusive: bool,
) -> Result<Task, Malformed> {
    let record = Record::decode(bytes).map_err(|_| Malformed::Without("a readable task"))?;
    let definition = record.definition.as_ref();
    let inverted = inverted_priority
        .try_into()
        .map_err(|_| Malformed::Without("a priority"))?;
    let build = record.build.as_slice().try_into();
    let build = build.map_err(|_| Malformed::Without("a build"))?;
    Ok(Task {
        key,
        run: RunId(record.run),
        definition: Digest::try_from(definition.ok_or(Malformed::Without("a definition"))?)?,
        produced: convert::digests(&record.produced)?.into(),
        kind: record.kind(),
        label: record.label.into(),
        package: record.package.into(),
        pool: record.pool.into(),
        share: Share {
            user: record.user.into(),
            build: BuildId(u128::from_be_bytes(build)),
        },
        priority: Priority::of_remaining_path(!u64::from_be_bytes(inverted)),
        duration_estimate: record.duration_estimate,
        memory_estimate: record.memory_estimate,
        near: None,
        exclusive,
        attempt: record.attempt,
    })
}

/// The name of a share: its build (16 bytes), then its user.
pub(super) fn share(share: &Share) -> Vec<u8> {
    let build = share.build.0.to_be_bytes();
    [&build[..], share.user.as_bytes()].concat()
}

/// A priority as bytes whose order is that in which tasks go. Only the order of priorities is to be relied on, so its
/// place in it is searched for.
pub(super) fn inverted(priority: Priority) -> [u8; 8] {
    let (mut low, mut high) = (0, u64::MAX);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        match Priority::of_remaining_path(middle) <= priority {
            true => low = middle,
            false => high = middle - 1,
        }
    }
    (!low).to_be_bytes()
}

/// The kind of news that an outcome becomes, and the bytes of it; the lease is the one that ends with it.
pub(super) fn encode_outcome(
    outcome: &Outcome,
    FencingToken {
        incarnation,
        counter,
    }: FencingToken,
) -> (&'static str, Vec<u8>) {
    match (convert::outcome_message(outcome), outcome) {
        (Some(message), _) => {
            let token = v1::FencingToken {
                incarnation,
                counter,
            };
            let mut bytes = message.encode_to_vec();
            bytes.extend(v1::Ended { lease: Some(token) }.encode_to_vec());
            ("D", bytes)
        }
        (None, Outcome::Unplaceable { reason }) => ("U", reason.as_bytes().to_vec()),
        (None, _) => ("X", Vec::new()),
    }
}

/// Reads news. An end whose outcome cannot be read is told as a crash: an end is never left out.
pub(super) fn decode_news(bytes: &[u8]) -> Result<News, Malformed> {
    let without = Malformed::Without;
    // The first 8 bytes are its number.
    let (_, rest) = bytes.split_first_chunk::<8>().ok_or(without("a number"))?;
    let (kind, rest) = rest.split_first().ok_or(without("a kind"))?;
    let (key, rest) = rest.split_first_chunk().ok_or(without("a key"))?;
    let (run, rest) = rest.split_first_chunk().ok_or(without("a run"))?;
    let (key, run) = (ActionKey(*key), RunId(u64::from_be_bytes(*run)));
    Ok(match kind {
        b'F' => News::Forgotten,
        b'J' => News::Joined { key, run },
        b'S' => News::Started {
            key,
            run,
            worker: text(rest),
        },
        b'L' => {
            let (offset, data) = rest.split_first_chunk().ok_or(without("an offset"))?;
            News::Log {
                key,
                run,
                offset: u64::from_be_bytes(*offset),
                data: data.into(),
            }
        }
        _ => {
            let (length, rest) = rest.split_first_chunk().ok_or(without("a worker"))?;
            let length = usize::from(u16::from_be_bytes(*length));
            let (worker, rest) = rest.split_at_checked(length).ok_or(without("a worker"))?;
            News::Done {
                key,
                run,
                worker: (!worker.is_empty()).then(|| text(worker)),
                lease: lease(*kind, rest),
                outcome: outcome(*kind, rest)?,
            }
        }
    })
}

/// The lease that an outcome came with.
fn lease(kind: u8, bytes: &[u8]) -> Option<FencingToken> {
    let ended = (kind == b'D').then(|| v1::Ended::decode(bytes).ok())??;
    let v1::FencingToken {
        incarnation,
        counter,
    } = ended.lease?;
    Some(FencingToken {
        incarnation,
        counter,
    })
}

fn outcome(kind: u8, bytes: &[u8]) -> Result<Outcome, Malformed> {
    Ok(match kind {
        b'C' => Outcome::Cancelled,
        b'X' => Outcome::LostLease,
        b'U' => Outcome::Unplaceable {
            reason: text(bytes),
        },
        b'D' => {
            let message = v1::Outcome::decode(bytes).map_err(|_| Malformed::Without("an outcome"));
            let read = message.and_then(convert::outcome);
            read.unwrap_or_else(|error| Outcome::Crashed {
                reason: format!("reading what its worker reported failed: {error}").into(),
            })
        }
        _ => return Err(Malformed::Unknown("kind of news")),
    })
}

fn text(bytes: &[u8]) -> Arc<str> {
    String::from_utf8_lossy(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_keep_their_order_and_their_values() {
        let mut last = None;
        for ms in [0, 1, 2, 1 << 40, u64::MAX - 1, u64::MAX] {
            let bytes = inverted(Priority::of_remaining_path(ms));
            assert_eq!(bytes, (!ms).to_be_bytes());
            assert!(last.is_none_or(|last| bytes < last));
            last = Some(bytes);
        }
    }

    #[test]
    fn an_end_that_cannot_be_read_is_an_end() {
        let mut bytes = vec![0; 8];
        bytes.push(b'D');
        bytes.extend([7; 32]);
        bytes.extend(9u64.to_be_bytes());
        bytes.extend([0, 2, b'w', b'1', 0xff]);
        let News::Done {
            run,
            worker,
            outcome,
            ..
        } = decode_news(&bytes).unwrap()
        else {
            panic!("no end");
        };
        assert_eq!((run, worker.as_deref()), (RunId(9), Some("w1")));
        assert!(matches!(outcome, Outcome::Crashed { .. }), "{outcome:?}");
    }
}
