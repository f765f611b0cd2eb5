//! What one task has printed and nobody was told yet.

/// So much of one task waits at most, bytes. What comes on top is left out: only those who watch live miss it, since the
/// whole output comes with the result.
const MOST_PENDING: usize = 1 << 20;

/// Output of one task that waits to be sent.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Where `data` begins in the task's output.
    offset: u64,
    data: Vec<u8>,
    /// What came after `data` and was left out, bytes.
    dropped: u64,
}

impl Pending {
    /// False when there was no room.
    pub fn push(&mut self, chunk: &[u8]) -> bool {
        // After a gap nothing can follow before the next message.
        if self.dropped > 0 || self.data.len() + chunk.len() > MOST_PENDING {
            self.dropped += chunk.len() as u64;
            return false;
        }
        self.data.extend_from_slice(chunk);
        true
    }

    pub fn take(&mut self) -> Option<(u64, Vec<u8>)> {
        if self.data.is_empty() && self.dropped == 0 {
            return None;
        }
        let data = std::mem::take(&mut self.data);
        let offset = self.offset;
        self.offset += data.len() as u64 + std::mem::take(&mut self.dropped);
        (!data.is_empty()).then_some((offset, data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_beyond_the_bound_leaves_a_gap_and_nothing_moves() {
        let mut pending = Pending::default();
        assert_eq!(pending.take(), None);
        assert!(pending.push(b"one"));
        assert_eq!(pending.take(), Some((0, b"one".to_vec())));
        assert!(pending.push(&vec![b'x'; MOST_PENDING]));
        assert!(!pending.push(b"lost"));
        let (offset, data) = pending.take().unwrap();
        assert_eq!((offset, data.len()), (3, MOST_PENDING));
        assert!(pending.push(b"two"));
        let offset = 3 + MOST_PENDING as u64 + 4;
        assert_eq!(pending.take(), Some((offset, b"two".to_vec())));
    }
}
