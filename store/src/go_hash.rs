//! The hash of a file as cmd/go prints it in its hash inputs.

use std::fmt;

use sha2::{Digest as _, Sha256};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// What cmd/go writes for a file in the inputs of an action ID, as in `file x.go HASH`: the first 15 bytes of
/// the SHA-256 of its content. Shown as 20 characters of unpadded base64url
/// (`HashToString` in GOROOT/src/cmd/internal/buildid).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct GoFileHash(pub [u8; 15]);

impl GoFileHash {
    /// The hash of a file with this content.
    pub fn of(content: &[u8]) -> GoFileHash {
        let full = Sha256::digest(content);
        let mut hash = [0; 15];
        hash.copy_from_slice(&full[..15]);
        GoFileHash(hash)
    }
}

impl fmt::Display for GoFileHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(20);
        for chunk in self.0.chunks_exact(3) {
            let bits = u32::from(chunk[0]) << 16 | u32::from(chunk[1]) << 8 | u32::from(chunk[2]);
            for shift in [18, 12, 6, 0] {
                text.push(char::from(ALPHABET[(bits >> shift & 63) as usize]));
            }
        }
        f.write_str(&text)
    }
}

impl fmt::Debug for GoFileHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // SHA-256 of nothing is e3b0c442 98fc1c14 9afbf4c8 996fb924 ..., of "abc" ba7816bf 8f01cfea 414140de 5dae22 ...
    // (FIPS 180-4); the text is `head -c 15 | basenc --base64url` of them.
    #[test]
    fn known_hashes_read_as_cmd_go_writes_them() {
        assert_eq!(GoFileHash::of(b"").to_string(), "47DEQpj8HBSa-_TImW-5");
        assert_eq!(GoFileHash::of(b"abc").to_string(), "ungWv48Bz-pBQUDeXa4i");
    }
}
