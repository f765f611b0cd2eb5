//! Which blobs travel together.

use gofarm_proto::Digest;

use super::QUESTION;

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

/// Cuts blobs into questions of so many bytes at most, in their order; one that is larger is a question of its own.
pub(super) fn questions(digests: &[Digest], most: u64) -> Vec<&[Digest]> {
    let mut questions = Vec::new();
    let (mut begin, mut bytes) = (0, 0);
    for (at, digest) in digests.iter().enumerate() {
        if at > begin && (bytes + digest.size > most || at - begin == QUESTION) {
            questions.push(&digests[begin..at]);
            (begin, bytes) = (at, 0);
        }
        bytes += digest.size;
    }
    questions.extend((begin < digests.len()).then(|| &digests[begin..]));
    questions
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
    fn questions_are_bounded_by_bytes_and_number() {
        let sizes = [3, 3, 3, 10, 20, 1].map(sized);
        let lengths = |digests: &[Digest], most| -> Vec<usize> {
            let questions = questions(digests, most);
            assert_eq!(questions.concat(), digests);
            questions.iter().map(|question| question.len()).collect()
        };
        assert_eq!(lengths(&sizes, 10), [3, 1, 1, 1]);
        assert_eq!(lengths(&sizes, 1000), [6]);
        assert_eq!(lengths(&[], 10), [0; 0]);
        let empty: Vec<Digest> = (0..25_000).map(|_| sized(0)).collect();
        assert_eq!(lengths(&empty, 10), [10_000, 10_000, 5_000]);
    }

    #[test]
    fn many_empty_blobs_take_several_batches() {
        let transfers = split((0..10_000).map(|_| sized(0)), |d| *d);
        assert_eq!(transfers.len(), 3);
    }
}
