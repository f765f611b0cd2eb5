//! Results that an operator has taken back.
//!
//! A result can be wrong although its bytes are what their name says: made on a machine with bad memory, or by a worker that
//! somebody else controls. Taking it out of the action cache is not enough, because a replica may just be about to record it
//! (again): the one that accepted it, or the owner of the build that it belongs to, after an outage of the store. So a *note*
//! in the store says what is taken back, every replica reads the notes every [`NOTICED_WITHIN`], and what a note covers is
//! neither used nor recorded from then on.
//!
//! What was made *from* a taken-back result has its digests in its key. When the action comes out otherwise the next time, the
//! keys of its dependents are others, and those results are never asked for again. When it comes out the same, it was not
//! wrong.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures::{StreamExt, TryStreamExt, stream};
use gofarm_proto::{ActionKey, Digest, Message, v1};
use gofarm_timing::{now_ms, to_ms};

use super::FarmStore;
use crate::custody::Entry;
use crate::frame;
use crate::layout::unique_name;
use crate::{DiskStore, Recorded, Result};

/// How often every replica looks for notes: for so long at most may it use a result that was taken back.
pub const NOTICED_WITHIN: Duration = Duration::from_secs(15);

/// Where notes are, and what their checksum covers.
const NOTES: &str = "invalidations";
const CONTEXT: &[u8] = b"gofarm invalidation 1";

/// After that time a note has nothing to do: nobody tries for so long to record a result. (Nor does anyone wait so long for
/// the entries to be removed: the command that removes them is run again.)
const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Entries that are looked at at once.
const AT_ONCE: usize = 64;

/// Results in one note: some 100 bytes each.
const IN_ONE_NOTE: usize = 10_000;

/// Which results are taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TakeBack {
    /// That of a key.
    Key(ActionKey),
    /// All that a worker made since a time.
    MadeBy {
        /// As the queue knew it.
        worker: String,
        /// When the first of them was accepted.
        since: SystemTime,
    },
}

/// A result that was taken back.
#[derive(Debug, Clone, PartialEq)]
pub struct TakenBackResult {
    /// Its key.
    pub key: ActionKey,
    /// The blobs that it names.
    pub outputs: Vec<Digest>,
    /// Who made it, where that is known.
    pub made: Option<v1::Provenance>,
}

/// What [`FarmStore::take_back`] did.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TakenBackReport {
    /// What was there and is no more; with a dry run, what would go.
    pub results: Vec<TakenBackResult>,
    /// Entries that were looked at.
    pub looked_at: u64,
    /// Those among them whose maker is not known, since an earlier version recorded them.
    pub unknown: u64,
    /// The workers that made the others, and when the latest result of each was accepted, in milliseconds since the epoch.
    pub makers: BTreeMap<String, u64>,
}

/// What this process knows of notes.
#[derive(Debug, Default)]
pub(super) struct TakenBack {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Notes that have been read.
    read: HashSet<String>,
    /// Key, and the last moment of acceptance that is covered.
    keys: HashMap<ActionKey, u64>,
    /// Worker, and the first and last moments.
    workers: Vec<(String, u64, u64)>,
}

impl TakenBack {
    /// Whether a note covers what this maker made under this key. A result whose maker is not known is older than notes are.
    pub(super) fn covers(&self, key: &ActionKey, made: Option<&v1::Provenance>) -> bool {
        let known = self.lock();
        let accepted = made.map_or(0, |made| made.accepted_ms);
        if known.keys.get(key).is_some_and(|until| accepted <= *until) {
            return true;
        }
        made.is_some_and(|made| {
            known.workers.iter().any(|(worker, since, until)| {
                *worker == made.worker && (*since..=*until).contains(&accepted)
            })
        })
    }

    fn add(&self, note: &v1::Invalidation) -> Vec<(ActionKey, Vec<Digest>)> {
        let mut known = self.lock();
        match &note.what {
            Some(v1::invalidation::What::Key(key)) => {
                if let Ok(key) = <[u8; 32]>::try_from(key.as_slice()) {
                    let until = known.keys.entry(ActionKey(key)).or_default();
                    *until = note.at_ms.max(*until);
                }
                Vec::new()
            }
            Some(v1::invalidation::What::MadeBy(by)) => {
                let span = (by.worker.clone(), by.since_ms, note.at_ms);
                known.workers.push(span);
                Vec::new()
            }
            Some(v1::invalidation::What::TakenBack(taken)) => {
                let results = taken.results.iter().filter_map(|result| {
                    let key = <[u8; 32]>::try_from(result.key.as_slice()).ok()?;
                    let outputs = result.outputs.iter();
                    let outputs = outputs.filter_map(|digest| Digest::try_from(digest).ok());
                    Some((ActionKey(key), outputs.collect()))
                });
                results.collect()
            }
            None => Vec::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FarmStore {
    /// Takes results back: notes it for all replicas, and removes the entries. The next build that wants one makes it again.
    /// With `dry_run` only says what that would be. `progress` hears how many of 256 parts of the cache have been looked at.
    ///
    /// May be repeated, also after it was broken off. What the worker has under way is not covered: it is to be stopped
    /// before.
    ///
    /// # Errors
    ///
    /// The store cannot be used; whatever was taken back until then stays so.
    pub async fn take_back(
        &self,
        what: &TakeBack,
        dry_run: bool,
        mut progress: impl FnMut(u16),
    ) -> Result<TakenBackReport> {
        let at_ms = now_ms();
        let note = v1::Invalidation {
            at_ms,
            what: Some(what.message()),
        };
        // What a dry run would find is found without telling anybody.
        let rule = TakenBack::default();
        rule.add(&note);
        if !dry_run {
            self.forget_old_notes(at_ms).await?;
            // Before anything is removed: what a replica records from here on is covered.
            self.note_invalidation(&note).await?;
        }
        let mut report = TakenBackReport::default();
        match what {
            TakeBack::Key(key) => self.take(&rule, vec![*key], dry_run, &mut report).await?,
            TakeBack::MadeBy { .. } => {
                for shard in 0..=u8::MAX {
                    let keys = self.keys(shard).await?;
                    self.take(&rule, keys, dry_run, &mut report).await?;
                    progress(u16::from(shard) + 1);
                }
            }
        }
        if !dry_run {
            // Builds under way hear by this what they have to make again.
            for results in report.results.chunks(IN_ONE_NOTE) {
                let results = results.iter().map(|result| v1::TakenBackResult {
                    key: result.key.0.to_vec(),
                    outputs: result.outputs.iter().map(|blob| (*blob).into()).collect(),
                });
                let taken = v1::TakenBack {
                    results: results.collect(),
                };
                let what = Some(v1::invalidation::What::TakenBack(taken));
                let note = v1::Invalidation { at_ms, what };
                self.note_invalidation(&note).await?;
            }
        }
        Ok(report)
    }

    /// Reads the notes that have come since the last time, and says which results they have taken back. To be called every
    /// [`NOTICED_WITHIN`], and before the process serves.
    pub async fn notice_invalidations(&self) -> Result<Vec<(ActionKey, Vec<Digest>)>> {
        let names = self.notes(NOTES).await?;
        let new: Vec<String> = {
            let known = self.taken_back.lock();
            let new = names.into_iter().filter(|name| !known.read.contains(name));
            new.collect()
        };
        let mut results = Vec::new();
        for name in new {
            let Some(bytes) = self.note(NOTES, name.clone()).await? else {
                continue;
            };
            let body = frame::unwrap(CONTEXT, &bytes);
            // One that cannot be read says nothing, now or later.
            if let Some(note) = body.and_then(|body| v1::Invalidation::decode(body).ok()) {
                results.extend(self.taken_back.add(&note));
            }
            self.taken_back.lock().read.insert(name);
        }
        Ok(results)
    }

    /// The recorded result of an action with its maker, unless it was taken back.
    pub async fn entry(&self, key: ActionKey) -> Result<Option<Entry>> {
        let Some(entry) = self.recorded(key).await? else {
            return Ok(None);
        };
        if !self.taken_back.covers(&key, entry.made.as_ref()) {
            return Ok(Some(entry));
        }
        // Recorded by somebody who did not know yet.
        self.remove_entry(key, entry).await?;
        Ok(None)
    }

    /// Records the result of an action whose outputs are in the store, and who made it. Idempotent; a differing result for
    /// one key is kept aside, and what was taken back stays so.
    pub async fn record_action(
        &self,
        key: ActionKey,
        result: v1::ActionResult,
        made: v1::Provenance,
    ) -> Result<Recorded> {
        if self.taken_back.covers(&key, Some(&made)) {
            return Ok(Recorded::TakenBack);
        }
        match &self.objects {
            Some(objects) => {
                objects
                    .record_action(&key, &result, &made, &self.local)
                    .await
            }
            None => {
                self.blocking(move |local| local.record_action(&key, &result, &made))
                    .await
            }
        }
    }

    async fn recorded(&self, key: ActionKey) -> Result<Option<Entry>> {
        match &self.objects {
            Some(objects) => objects.action(&key, &self.local).await,
            None => {
                let look = move |local: &DiskStore| {
                    let entry = local.entry(&key)?;
                    if let Some(entry) = &entry {
                        local.use_blobs(&entry.used())?;
                    }
                    Ok(entry)
                };
                self.blocking(look).await
            }
        }
    }

    /// What is recorded, without marking it as used.
    async fn peek(&self, key: ActionKey) -> Result<Option<Entry>> {
        match &self.objects {
            Some(objects) => objects.peek_action(&key, &self.local).await,
            None => self.blocking(move |local| local.peek_entry(&key)).await,
        }
    }

    pub(super) async fn remove_entry(&self, key: ActionKey, entry: Entry) -> Result<bool> {
        match &self.objects {
            Some(objects) => {
                let same = |found: &Entry| *found == entry;
                objects.remove_action(&key, &self.local, same).await
            }
            None => {
                self.blocking(move |local| local.remove_action(&key, |found| *found == entry))
                    .await
            }
        }
    }

    /// Looks at entries and removes those that the rule covers.
    async fn take(
        &self,
        rule: &TakenBack,
        keys: Vec<ActionKey>,
        dry_run: bool,
        report: &mut TakenBackReport,
    ) -> Result<()> {
        let looked = stream::iter(keys).map(|key| async move {
            let Some(entry) = self.peek(key).await? else {
                return Ok(None);
            };
            let covered = rule.covers(&key, entry.made.as_ref());
            let made = entry.made.clone();
            let result = covered.then(|| TakenBackResult {
                key,
                outputs: entry.blobs(),
                made: made.clone(),
            });
            if covered && !dry_run {
                self.remove_entry(key, entry).await?;
            }
            Ok(Some((made, result)))
        });
        let looked: Vec<_> = looked.buffer_unordered(AT_ONCE).try_collect().await?;
        for (made, result) in looked.into_iter().flatten() {
            report.looked_at += 1;
            match made {
                // A maker without a name is none to tell of.
                Some(made) if made.worker.is_empty() => {}
                Some(made) => {
                    let latest = report.makers.entry(made.worker).or_default();
                    *latest = made.accepted_ms.max(*latest);
                }
                None => report.unknown += 1,
            }
            report.results.extend(result);
        }
        Ok(())
    }

    async fn note_invalidation(&self, note: &v1::Invalidation) -> Result<()> {
        let framed = frame::wrap(CONTEXT, &note.encode_to_vec());
        // Twenty digits: in the order of their time, and read back by `forget_old_notes`.
        let name = format!("{:020}-{}", note.at_ms, unique_name());
        self.put_note(NOTES, name, framed).await
    }

    async fn forget_old_notes(&self, now: u64) -> Result<()> {
        let kept = u64::try_from(KEPT.as_millis()).unwrap_or(u64::MAX);
        for name in self.notes(NOTES).await? {
            let at = name.split('-').next().and_then(|at| at.parse::<u64>().ok());
            if at.is_some_and(|at| at.saturating_add(kept) < now) {
                self.remove_note(NOTES, name).await?;
            }
        }
        Ok(())
    }
}

impl TakeBack {
    fn message(&self) -> v1::invalidation::What {
        match self {
            TakeBack::Key(key) => v1::invalidation::What::Key(key.0.to_vec()),
            TakeBack::MadeBy { worker, since } => v1::invalidation::What::MadeBy(v1::MadeBy {
                worker: worker.clone(),
                since_ms: to_ms(*since),
            }),
        }
    }
}
