//! The action cache: what came of an action, by its key.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use gofarm_proto::{ActionKey, Digest, v1};

use crate::custody::{self, Entry};
use crate::disk::DiskStore;
use crate::error::{Result, StoreError};
use crate::harmless;
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
        /// Who made the one that was there before, if that is known.
        first: Option<v1::Provenance>,
    },
    /// Nothing is recorded: results of this maker, or of this key, have been taken back since it was made.
    TakenBack,
}

/// A file of the cache, as it is on the disk.
enum Found {
    Absent,
    Damaged(Metadata),
    Whole(Box<Entry>, Metadata),
}

impl DiskStore {
    /// The result recorded for this key, marked as used. A torn or malformed entry is set aside, counted (see
    /// [`found_damage`](DiskStore::found_damage)) and absent. Its outputs may be missing; see
    /// [`missing`](DiskStore::missing).
    pub fn action(&self, key: &ActionKey) -> Result<Option<v1::ActionResult>> {
        Ok(self.entry(key)?.map(|entry| entry.result))
    }

    /// As [`action`](DiskStore::action), with who made it.
    pub fn entry(&self, key: &ActionKey) -> Result<Option<Entry>> {
        let path = self.inner.layout.action(key);
        match self.look_up(key, &path)? {
            Found::Absent => Ok(None),
            Found::Damaged(metadata) => {
                self.set_aside(&path, &metadata, Damaged::Action)?;
                Ok(None)
            }
            Found::Whole(entry, metadata) => {
                // Gone meanwhile or not, what was read is true.
                self.mark_used(&path, &metadata)?;
                Ok(Some(*entry))
            }
        }
    }

    /// As [`entry`](DiskStore::entry), without marking it as used: for who looks at all of them.
    #[cfg(feature = "farm")]
    pub(crate) fn peek_entry(&self, key: &ActionKey) -> Result<Option<Entry>> {
        match self.look_up(key, &self.inner.layout.action(key))? {
            Found::Whole(entry, _) => Ok(Some(*entry)),
            Found::Absent | Found::Damaged(_) => Ok(None),
        }
    }

    /// Takes an entry out of the cache if it is still one that `wrong` says so of.
    #[cfg(feature = "farm")]
    pub(crate) fn remove_action(
        &self,
        key: &ActionKey,
        wrong: impl Fn(&Entry) -> bool,
    ) -> Result<bool> {
        let path = self.inner.layout.action(key);
        // Looking and removing in one section: nothing that was recorded in between goes.
        self.inner
            .gate
            .exclusive(|| match self.look_up(key, &path)? {
                Found::Whole(entry, _) if wrong(&entry) => match fs::remove_file(&path) {
                    Ok(()) => Ok(true),
                    Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
                    Err(e) => Err(self.failed("take back", &path)(e)),
                },
                _ => Ok(false),
            })
    }

    /// Records what came of an action, and who made it. The first result stays; see [`Recorded`]. The caller has stored
    /// the outputs before.
    ///
    /// # Errors
    ///
    /// [`StoreError::BadResult`] for the result of a failed action and for malformed digests.
    pub fn record_action(
        &self,
        key: &ActionKey,
        result: &v1::ActionResult,
        made: &v1::Provenance,
    ) -> Result<Recorded> {
        let outputs =
            outputs(result).map_err(|reason| StoreError::BadResult { key: *key, reason })?;
        let path = self.inner.layout.action(key);
        let framed = custody::wrap(key, result, made);
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
            .exclusive(|| match self.look_up(key, &path)? {
                Found::Absent => commit(&path).map(|()| Recorded::Stored),
                Found::Damaged(metadata) => {
                    self.set_aside_in_gate(&path, &metadata, Damaged::Action)?;
                    commit(&path).map(|()| Recorded::Stored)
                }
                Found::Whole(first, _) if self::outputs(&first.result).as_ref() == Ok(&outputs) => {
                    Ok(Recorded::AlreadyThere)
                }
                Found::Whole(first, _) => {
                    let Entry {
                        result: first,
                        made: of_first,
                    } = *first;
                    // A first result whose outputs are lost cannot be had again, since the action gives other
                    // ones: it would be run at every build.
                    let first_is_usable = self::outputs(&first)
                        .is_ok_and(|first| first.values().all(|(blob, _)| self.contains(blob)));
                    let (valid, finding) = if first_is_usable {
                        let finding = self.finding(key, result);
                        commit(&finding)?;
                        (first, finding)
                    } else {
                        let finding = self.finding(key, &first);
                        fs::rename(&path, &finding).map_err(self.failed("set aside", &path))?;
                        commit(&path)?;
                        (result.clone(), finding)
                    };
                    Ok(Recorded::NonDeterministic {
                        valid: Box::new(valid),
                        finding,
                        first: of_first,
                    })
                }
            })?;
        if recorded == Recorded::Stored {
            self.count(framed.len() as u64)?;
        }
        Ok(recorded)
    }

    fn finding(&self, key: &ActionKey, result: &v1::ActionResult) -> PathBuf {
        let name = custody::finding(key, result);
        self.inner.layout.findings().join(name)
    }

    fn look_up(&self, key: &ActionKey, path: &Path) -> Result<Found> {
        let mut file = match harmless::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Found::Absent),
            Err(e) => match fs::symlink_metadata(path) {
                // A socket cannot be opened.
                Ok(metadata) if !(metadata.is_file() || metadata.is_symlink()) => {
                    return Ok(Found::Damaged(metadata));
                }
                _ => return Err(self.failed("read", path)(e)),
            },
        };
        let metadata = file.metadata().map_err(self.failed("read", path))?;
        if !metadata.is_file() {
            return Ok(Found::Damaged(metadata));
        }
        let mut framed = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
        file.read_to_end(&mut framed)
            .map_err(self.failed("read", path))?;
        Ok(match custody::unwrap(key, &framed) {
            Some(entry) => Found::Whole(Box::new(entry), metadata),
            None => Found::Damaged(metadata),
        })
    }
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
    if let Some(log) = &result.log_blob {
        Digest::try_from(log).map_err(|e| format!("the digest of its log is malformed: {e}"))?;
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
