//! A checksum around the small files of the store, so that a torn or damaged one is never taken for a whole
//! one.

/// BLAKE3 stands first, then the body.
const CHECKSUM: usize = 32;

/// `body` with a checksum that also covers `context`: what kind of file this is, and whose. A frame read
/// under another context is damaged.
pub(crate) fn wrap(context: &[u8], body: &[u8]) -> Vec<u8> {
    let mut framed = Vec::with_capacity(CHECKSUM + body.len());
    framed.extend_from_slice(checksum(context, body).as_bytes());
    framed.extend_from_slice(body);
    framed
}

/// The body, or nothing when the checksum does not fit.
pub(crate) fn unwrap<'a>(context: &[u8], framed: &'a [u8]) -> Option<&'a [u8]> {
    let (expected, body) = framed.split_first_chunk::<CHECKSUM>()?;
    (checksum(context, body) == *expected).then_some(body)
}

fn checksum(context: &[u8], body: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    // The length keeps context and body from running together.
    hasher.update(&(context.len() as u64).to_le_bytes());
    hasher.update(context);
    hasher.update(body);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cut_and_every_flipped_bit_is_seen() {
        let framed = wrap(b"kind", b"body of it");
        assert_eq!(unwrap(b"kind", &framed), Some(&b"body of it"[..]));
        for end in 0..framed.len() {
            assert_eq!(unwrap(b"kind", &framed[..end]), None, "cut at {end}");
        }
        for bit in 0..framed.len() * 8 {
            let mut damaged = framed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(unwrap(b"kind", &damaged), None, "bit {bit}");
        }
    }

    #[test]
    fn a_frame_of_another_context_is_refused() {
        assert_eq!(unwrap(b"b", &wrap(b"a", b"x")), None);
        assert_eq!(unwrap(b"", &wrap(b"a", b"x")), None);
    }
}
