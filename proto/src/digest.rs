//! BLAKE3 digest and size of a blob.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::v1;

/// The identity of a blob: BLAKE3-256 of its bytes, and its length.
///
/// Its text form is `<64 hex digits>-<size in bytes>`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    /// BLAKE3-256 of the bytes.
    pub hash: [u8; 32],
    /// Length in bytes.
    pub size: u64,
}

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest {
            hash: *blake3::hash(bytes).as_bytes(),
            size: bytes.len() as u64,
        }
    }

    /// The 64 hex digits of the hash alone, for file names and short displays.
    pub fn hex(&self) -> String {
        hex::encode(self.hash)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.hex(), self.size)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text or message that is not a digest.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a digest: {0:?} (expected 64 hex digits, a dash and the size)")]
pub struct ParseDigestError(pub String);

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (hash, size) = s.split_once('-')?;
            let mut bytes = [0; 32];
            hex::decode_to_slice(hash, &mut bytes).ok()?;
            Some(Digest {
                hash: bytes,
                size: size.parse().ok()?,
            })
        };
        parse().ok_or_else(|| ParseDigestError(s.to_owned()))
    }
}

impl From<Digest> for v1::Digest {
    fn from(d: Digest) -> Self {
        v1::Digest {
            hash: d.hash.to_vec(),
            size: d.size,
        }
    }
}

impl TryFrom<&v1::Digest> for Digest {
    type Error = ParseDigestError;

    fn try_from(d: &v1::Digest) -> Result<Self, Self::Error> {
        let hash = d
            .hash
            .as_slice()
            .try_into()
            .map_err(|_| ParseDigestError(hex::encode(&d.hash)))?;
        Ok(Digest { hash, size: d.size })
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips() {
        let digest = Digest::of(b"package main\n");
        assert_eq!(digest.to_string().parse(), Ok(digest));
    }

    #[test]
    fn malformed_text_is_refused() {
        for text in [
            "",
            "-",
            "abc-3",
            &"0".repeat(64),
            &format!("{}-x", "0".repeat(64)),
        ] {
            assert!(text.parse::<Digest>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_message_with_a_short_hash_is_refused() {
        let message = v1::Digest {
            hash: vec![1; 31],
            size: 0,
        };
        assert!(Digest::try_from(&message).is_err());
    }
}
