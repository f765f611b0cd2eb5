//! The action key: what decides whether a result may be used again.

use std::fmt;

use crate::Digest;

/// Changes whenever the meaning of a result changes, so that no old result is ever taken for a new one.
const DOMAIN: &str = "gofarm action key v1";

/// BLAKE3 over everything that an action reads.
///
/// The definition digest covers steps, environment, platform, outputs and every input known when the action
/// was planned (tools among them); the digests of the produced inputs are added in the order of
/// `Action.inputs`. Equal keys mean: the same commands over the same bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ActionKey(pub [u8; 32]);

impl ActionKey {
    /// The key of the action with this definition, once its produced inputs are known.
    pub fn new(definition: &Digest, produced: impl IntoIterator<Item = Digest>) -> ActionKey {
        let mut hasher = blake3::Hasher::new_derive_key(DOMAIN);
        hasher.update(&definition.hash);
        // Every digest has the same width, so no two lists run together.
        for digest in produced {
            hasher.update(&digest.hash);
            hasher.update(&digest.size.to_le_bytes());
        }
        ActionKey(*hasher.finalize().as_bytes())
    }

    /// 64 hex digits.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Display for ActionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

impl fmt::Debug for ActionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_produced_inputs_counts() {
        let definition = Digest::of(b"definition");
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        assert_ne!(
            ActionKey::new(&definition, [a, b]),
            ActionKey::new(&definition, [b, a])
        );
    }

    #[test]
    fn a_missing_input_is_another_key() {
        let definition = Digest::of(b"definition");
        let a = Digest::of(b"a");
        assert_ne!(
            ActionKey::new(&definition, [a]),
            ActionKey::new(&definition, [])
        );
    }
}
