//! The 20-character form of SHA-256 that cmd/go's identities consist of.

use sha2::{Digest, Sha256};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The first 15 bytes of a hash in base64url: 20 characters, no padding.
///
/// This is `buildid.HashToString` of cmd/internal/buildid; every part of a Go build ID has this form.
pub fn hash_to_string(hash: &[u8; 32]) -> String {
    let mut text = String::with_capacity(20);
    for chunk in hash[..15].chunks_exact(3) {
        let bits = u32::from(chunk[0]) << 16 | u32::from(chunk[1]) << 8 | u32::from(chunk[2]);
        for shift in [18, 12, 6, 0] {
            text.push(char::from(ALPHABET[(bits >> shift & 0x3f) as usize]));
        }
    }
    text
}

/// What cmd/go writes into an action's hash for the content of a file, as in `file x.go HASH`.
pub fn file_hash(bytes: &[u8]) -> String {
    hash_to_string(&Sha256::digest(bytes).into())
}

/// The action ID over the strings that cmd/go hashes for one action, in order, its salt included.
///
/// The strings are those that `GODEBUG=gocachehash=1` prints, unquoted; where they end does not matter, only their
/// concatenation does.
pub fn action_id<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    hash_to_string(&action_hash(parts))
}

/// The whole hash behind [`action_id`]; Go's build cache is keyed by all 32 bytes of it.
pub fn action_hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_nothing_reads_as_base64url() {
        // SHA-256 of the empty string begins e3b0c442 98fc1c14 9afbf4c8 996fb9.
        assert_eq!(file_hash(b""), "47DEQpj8HBSa-_TImW-5");
    }

    #[test]
    fn an_action_id_depends_on_the_concatenation_only() {
        let whole: &[u8] = b"go1.26compile\n";
        assert_eq!(
            action_id([whole]),
            action_id([&whole[..6], &whole[6..], b""])
        );
        assert_ne!(action_id([whole]), action_id([&whole[1..]]));
    }
}
