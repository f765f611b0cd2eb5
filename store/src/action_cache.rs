//! The action cache: what came of an action, by its key.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use gofarm_proto::{ActionKey, Digest, Message, v1};

use crate::disk::DiskStore;
use crate::error::{Result, StoreError};
use crate::frame;
use crate::quarantine::Damaged;

/// What became of a result that was recorded.
#[derive(Debug, Clone, PartialEq)]
pub enum Recorded {
    /// It is the first for its key.
    Stored,
    /// The cache already held a result with the same outputs.
    AlreadyThere,
    /// The cache already held a result with other outputs: the action does not give the same bytes each time.
    NonDeterministic {
        /// The result that the cache holds from now on, and that the build has to go on with. The first one,
        /// or the new one when outputs of the first are no longer in the store.
        valid: Box<v1::ActionResult>,
        /// Where the other one is kept for people to look at.
        finding: PathBuf,
    },
}

/// An entry as it is on the disk.
enum Entry {
    Absent,
    Damaged(Metadata),
    Whole(Box<v1::ActionResult>, Metadata),
}

impl DiskStore {
    /// The result recorded for this key, marked as used. A torn or malformed entry is set aside, counted (see
    /// [`found_damage`](DiskStore::found_damage)) and absent. Its outputs may be missing; see
    /// [`missing`](DiskStore::missing).
    pub fn action(&self, key: &ActionKey) -> Result<Option<v1::ActionResult>> {
        let path = self.inner.layout.action(key);
        match self.entry(key, &path)? {
            Entry::Absent => Ok(None),
            Entry::Damaged(metadata) => {
                self.set_aside(&path, &metadata, Damaged::Action)?;
                Ok(None)
            }
            Entry::Whole(result, metadata) => {
                // Gone meanwhile or not, what was read is true.
                self.mark_used(&path, &metadata)?;
                Ok(Some(*result))
            }
        }
    }

    /// Records what came of an action. The first result stays; see [`Recorded`]. The caller has stored the
    /// outputs before.
    ///
    /// # Errors
    ///
    /// [`StoreError::BadResult`] for the result of a failed action and for malformed digests.
    pub fn record_action(&self, key: &ActionKey, result: &v1::ActionResult) -> Result<Recorded> {
        let outputs =
            outputs(result).map_err(|reason| StoreError::BadResult { key: *key, reason })?;
        let path = self.inner.layout.action(key);
        let framed = frame::wrap(&context(key), &result.encode_to_vec());
        let mut temporary = self.inner.own.file()?;
        temporary
            .file
            .write_all(&framed)
            .map_err(self.failed("write", temporary.path()))?;
        let mut commit = |to: &Path| {
            temporary
                .rename(to)
                .map_err(self.failed("record the action", to))
        };
        // Looking and renaming in one section: of two processes with two results, one is the first.
        let recorded = self
            .inner
            .gate
            .exclusive(|| match self.entry(key, &path)? {
                Entry::Absent => commit(&path).map(|()| Recorded::Stored),
                Entry::Damaged(metadata) => {
                    self.set_aside_in_gate(&path, &metadata, Damaged::Action)?;
                    commit(&path).map(|()| Recorded::Stored)
                }
                Entry::Whole(first, _) if self::outputs(&first).as_ref() == Ok(&outputs) => {
                    Ok(Recorded::AlreadyThere)
                }
                Entry::Whole(first, _) => {
                    let finding = self.finding(key, &framed);
                    // A first result whose outputs are lost cannot be had again, since the action gives other
                    // ones: it would be run at every build.
                    let first_is_usable = self::outputs(&first)
                        .is_ok_and(|first| first.values().all(|(blob, _)| self.contains(blob)));
                    if first_is_usable {
                        commit(&finding)?;
                        return Ok(Recorded::NonDeterministic {
                            valid: first,
                            finding,
                        });
                    }
                    fs::rename(&path, &finding).map_err(self.failed("set aside", &path))?;
                    commit(&path)?;
                    Ok(Recorded::NonDeterministic {
                        valid: Box::new(result.clone()),
                        finding,
                    })
                }
            })?;
        if recorded == Recorded::Stored {
            self.count(framed.len() as u64)?;
        }
        Ok(recorded)
    }

    /// The same finding has the same name, so a build that is repeated does not pile them up.
    fn finding(&self, key: &ActionKey, framed: &[u8]) -> PathBuf {
        let content = Digest::of(framed).hex();
        let name = format!("{}.{}", key.hex(), &content[..16]);
        self.inner.layout.findings().join(name)
    }

    fn entry(&self, key: &ActionKey, path: &Path) -> Result<Entry> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Entry::Absent),
            Err(e) => return Err(self.failed("read", path)(e)),
        };
        let metadata = file.metadata().map_err(self.failed("read", path))?;
        if !metadata.is_file() {
            return Ok(Entry::Damaged(metadata));
        }
        let mut framed = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
        file.read_to_end(&mut framed)
            .map_err(self.failed("read", path))?;
        let result = frame::unwrap(&context(key), &framed)
            .and_then(|body| v1::ActionResult::decode(body).ok())
            .filter(|result| outputs(result).is_ok());
        Ok(match result {
            Some(result) => Entry::Whole(Box::new(result), metadata),
            None => Entry::Damaged(metadata),
        })
    }
}

/// An entry under another key is no entry.
pub(crate) fn context(key: &ActionKey) -> Vec<u8> {
    [b"gofarm action result 1 ".as_slice(), &key.0].concat()
}

/// What makes two results the same: their outputs. Logs and costs differ from run to run.
pub(crate) fn outputs(
    result: &v1::ActionResult,
) -> std::result::Result<BTreeMap<&str, (Digest, bool)>, String> {
    if result.exit_code != 0 {
        return Err(format!(
            "it failed with exit code {}, and only successes are cached",
            result.exit_code
        ));
    }
    let mut outputs = BTreeMap::new();
    for output in &result.outputs {
        let digest = output.digest.as_ref();
        let digest = digest.ok_or_else(|| format!("output {:?} has no digest", output.name))?;
        let digest = Digest::try_from(digest)
            .map_err(|e| format!("output {:?} is malformed: {e}", output.name))?;
        let value = (digest, output.executable);
        if outputs.insert(output.name.as_str(), value).is_some() {
            return Err(format!("output {:?} occurs twice", output.name));
        }
    }
    Ok(outputs)
}
