//! Which blobs travel together.

use gofarm_proto::Digest;

/// Larger ones are streamed: a broken connection then costs a piece, not a batch.
pub(super) const LARGE: u64 = 1 << 20;

/// The plain bytes of a batch, by the specification.
const BATCH: u64 = 4 << 20;

/// Each blob of a batch costs some 50 bytes beside its own: with more of them a batch of tiny ones would be longer than
/// a message may be.
const COUNT: usize = 4_000;

/// What is moved with one call, or with one call after another.
#[derive(Debug, PartialEq)]
pub(super) enum Transfer<T> {
    Batch(Vec<T>),
    Stream(T),
}

/// Sorts blobs into transfers, in their order.
pub(super) fn split<T>(
    blobs: impl IntoIterator<Item = T>,
    digest: impl Fn(&T) -> Digest,
) -> Vec<Transfer<T>> {
    let mut transfers = Vec::new();
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for blob in blobs {
        let size = digest(&blob).size;
        if size > LARGE {
            transfers.push(Transfer::Stream(blob));
            continue;
        }
        if bytes + size > BATCH || batch.len() == COUNT {
            transfers.push(Transfer::Batch(std::mem::take(&mut batch)));
            bytes = 0;
        }
        bytes += size;
        batch.push(blob);
    }
    if !batch.is_empty() {
        transfers.push(Transfer::Batch(batch));
    }
    transfers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sized(size: u64) -> Digest {
        Digest {
            hash: [0; 32],
            size,
        }
    }

    #[test]
    fn no_batch_is_over_its_bounds_and_nothing_is_lost() {
        let sizes = [1 << 20, 3 << 20, 1 << 20, 5, 1 << 20, 1 << 20, 1 << 20, 9];
        let transfers = split(sizes.map(sized), |d| *d);
        let mut count = 0;
        for transfer in transfers {
            match transfer {
                Transfer::Batch(batch) => {
                    assert!(batch.iter().map(|d| d.size).sum::<u64>() <= BATCH);
                    count += batch.len();
                }
                Transfer::Stream(blob) => {
                    assert_eq!(blob.size, 3 << 20);
                    count += 1;
                }
            }
        }
        assert_eq!(count, sizes.len());
    }

    #[test]
    fn many_empty_blobs_take_several_batches() {
        let transfers = split((0..10_000).map(|_| sized(0)), |d| *d);
        assert_eq!(transfers.len(), 3);
    }
}
