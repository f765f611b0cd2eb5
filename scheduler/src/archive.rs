//! The events of a build that is over, as a blob.
//!
//! A day of builds is too much for a server that keeps everything in memory: 5,000 actions have about 2 MB of events. Soon
//! after the end they move to the store; the record, which stays, names the blob.

use std::collections::VecDeque;

use bytes::Bytes;
use gofarm_proto::{Digest, Message, v1};

use super::metrics::MeteredStore;

/// Fast, and finds that events resemble each other.
const LEVEL: i32 = 3;

/// An archive that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Lost, evicted, or the store is away.
    #[error("the store does not have the events: {0}")]
    Store(#[from] gofarm_store::StoreError),
    /// Not what [`pack`] writes.
    #[error("the archive of events {digest} cannot be read: {reason}")]
    Malformed {
        /// The blob.
        digest: Digest,
        /// Why.
        reason: String,
    },
}

impl ArchiveError {
    /// Whether trying again is in vain.
    pub fn is_final(&self) -> bool {
        match self {
            ArchiveError::Store(error) => error.is_lost_blob(),
            ArchiveError::Malformed { .. } => true,
        }
    }
}

/// Events, each encoded, as the bytes of a blob: one after the other, each after its length, in a zstd frame.
///
/// # Errors
///
/// When there is no memory for it.
pub fn pack<'a>(events: impl Iterator<Item = &'a Bytes>) -> std::io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    for event in events {
        prost::encode_length_delimiter(event.len(), &mut plain).map_err(std::io::Error::other)?;
        plain.extend_from_slice(event);
    }
    zstd::bulk::compress(&plain, LEVEL)
}

/// The events of an archive that come after a cursor, each encoded.
///
/// # Errors
///
/// See [`ArchiveError`].
pub async fn read(
    store: &MeteredStore,
    digest: Digest,
    after: u64,
) -> Result<VecDeque<Bytes>, ArchiveError> {
    let packed = store.read(digest).await?;
    // Megabytes of it: not on a thread that others wait for.
    let unpacked = tokio::task::spawn_blocking(move || unpack(&packed, after)).await;
    let unpacked = unpacked.unwrap_or_else(|error| Err(error.to_string()));
    unpacked.map_err(|reason| ArchiveError::Malformed { digest, reason })
}

fn unpack(packed: &[u8], after: u64) -> Result<VecDeque<Bytes>, String> {
    let plain = zstd::stream::decode_all(packed).map_err(|error| error.to_string())?;
    let mut plain = Bytes::from(plain);
    let mut events = VecDeque::new();
    while !plain.is_empty() {
        let length = prost::decode_length_delimiter(&mut plain).map_err(|e| e.to_string())?;
        if length > plain.len() {
            return Err("it ends within an event".to_owned());
        }
        let event = plain.split_to(length);
        // They ascend.
        let comes = !events.is_empty() || {
            let event = v1::BuildEvent::decode(event.clone());
            event.map_err(|error| error.to_string())?.cursor > after
        };
        if comes {
            events.push_back(event);
        }
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(cursor: u64) -> v1::BuildEvent {
        let accepted = v1::Accepted { total: 3 };
        v1::BuildEvent {
            cursor,
            time_ms: 7,
            event: Some(v1::build_event::Event::Accepted(accepted)),
        }
    }

    #[test]
    fn what_comes_after_a_cursor_is_what_was_put_in() {
        let put: Vec<Bytes> = (1..=200)
            .map(|cursor| event(cursor).encode_to_vec().into())
            .collect();
        let packed = pack(put.iter()).unwrap();
        assert_eq!(unpack(&packed, 198).unwrap(), &put[198..]);
        assert_eq!(unpack(&packed, 0).unwrap().len(), 200);
        assert!(unpack(&packed, 200).unwrap().is_empty());
        assert!(unpack(&packed[..packed.len() - 1], 0).is_err());
        assert!(unpack(b"nothing", 0).is_err());
    }
}
