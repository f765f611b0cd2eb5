//! A result with its maker, as the action cache keeps them.

use gofarm_proto::{ActionKey, Digest, Message, v1};

use crate::action_cache::outputs;
use crate::frame;

/// What the action cache has for a key.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What came of the action.
    pub result: v1::ActionResult,
    /// Who made it. None: an earlier version wrote the entry.
    pub made: Option<v1::Provenance>,
}

impl Entry {
    /// The blobs of the result's outputs. Without one of them the result is of no use.
    pub fn blobs(&self) -> Vec<Digest> {
        // An entry with malformed outputs is never read.
        let outputs = outputs(&self.result).unwrap_or_default();
        outputs.into_values().map(|(blob, _)| blob).collect()
    }

    /// The blob with what the tools printed, where that was much. Without it the result is as good.
    pub fn log(&self) -> Option<Digest> {
        let log = self.result.log_blob.as_ref();
        log.and_then(|log| Digest::try_from(log).ok())
    }

    /// All that is in use when the result is.
    #[cfg(feature = "farm")]
    pub(crate) fn used(&self) -> Vec<Digest> {
        let mut blobs = self.blobs();
        blobs.extend(self.log());
        blobs
    }
}

/// The bytes of an entry: see `cache.proto`.
pub(crate) fn wrap(key: &ActionKey, result: &v1::ActionResult, made: &v1::Provenance) -> Vec<u8> {
    let made = Some(made.clone());
    let mut body = result.encode_to_vec();
    body.extend(v1::Custody { made }.encode_to_vec());
    frame::wrap(&context(key), &body)
}

/// The entry, or nothing when the bytes are damaged.
pub(crate) fn unwrap(key: &ActionKey, framed: &[u8]) -> Option<Entry> {
    let body = frame::unwrap(&context(key), framed)?;
    let result = v1::ActionResult::decode(body).ok()?;
    outputs(&result).ok()?;
    let made = v1::Custody::decode(body).ok()?.made;
    Some(Entry { result, made })
}

/// The name of a finding. The same outputs of one key have the same name, whatever the run took and whoever made it, so a
/// build that is repeated does not pile findings up.
pub(crate) fn finding(key: &ActionKey, result: &v1::ActionResult) -> String {
    let mut hasher = blake3::Hasher::new();
    for (name, (blob, executable)) in outputs(result).unwrap_or_default() {
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        hasher.update(&blob.hash);
        hasher.update(&blob.size.to_le_bytes());
        hasher.update(&[u8::from(executable)]);
    }
    format!("{}.{}", key.hex(), &hasher.finalize().to_hex()[..16])
}

/// An entry under another key is no entry.
pub(crate) fn context(key: &ActionKey) -> Vec<u8> {
    [b"gofarm action result 1 ".as_slice(), &key.0].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: ActionKey = ActionKey([3; 32]);

    fn result() -> v1::ActionResult {
        v1::ActionResult {
            outputs: vec![v1::OutputFile {
                name: "export".to_owned(),
                digest: Some(Digest::of(b"e").into()),
                executable: false,
            }],
            log: b"printed".to_vec(),
            ..v1::ActionResult::default()
        }
    }

    #[test]
    fn an_entry_of_an_earlier_version_is_read_and_has_no_maker() {
        let old = frame::wrap(&context(&KEY), &result().encode_to_vec());
        let entry = unwrap(&KEY, &old).unwrap();
        assert_eq!((entry.result, entry.made), (result(), None));
    }

    #[test]
    fn an_earlier_version_reads_the_result_of_a_new_entry() {
        let made = v1::Provenance {
            worker: "w1".to_owned(),
            lease: Some(v1::FencingToken {
                incarnation: 7,
                counter: 9,
            }),
            accepted_ms: 11,
            replica: "r".to_owned(),
        };
        let framed = wrap(&KEY, &result(), &made);
        let body = frame::unwrap(&context(&KEY), &framed).unwrap();
        assert_eq!(v1::ActionResult::decode(body), Ok(result()));
        assert_eq!(unwrap(&KEY, &framed).unwrap().made, Some(made));
    }

    #[test]
    fn a_finding_has_one_name_whoever_made_it_and_whatever_it_took() {
        let mut again = result();
        again.log.clear();
        assert_eq!(finding(&KEY, &result()), finding(&KEY, &again));
        again.outputs[0].digest = Some(Digest::of(b"other").into());
        assert_ne!(finding(&KEY, &result()), finding(&KEY, &again));
    }
}
