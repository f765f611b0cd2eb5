//! Retention: what a farm's store keeps, and for how long.
//!
//! What was used least recently goes first: all that was not used for a time, and more where the store is larger than it may
//! be. Using a result uses the blobs that it names, so a result and its blobs go at about the same time; and a result whose
//! blobs have gone is a miss that costs one execution (*the recovery path is the cache path*).
//!
//! **Nothing goes that was used within [`GRACE`].** Being used means: written, read, said to be there, recorded, looked up. A
//! client that was told that a blob is there, an upload whose result is not recorded yet, a worker between its lease and its last
//! input: all of that takes minutes. What builds that run for longer need, their owners use anew in time
//! (`scheduler/src/engine/keeping.rs`). So whoever collects need not know which builds there are, and two that collect at
//! once do no harm.
//!
//! In a folder the access time is the last use, and looking at it and removing are one step. In an object store it is the later
//! of the time of writing and what replicas note (`used.rs`). There the two are not one step: what is said to be there between
//! the last look and the removal, less than a second, is lost all the same, and is made again.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::{StreamExt, TryStreamExt, stream};
use object_store::{Error, ObjectStore, ObjectStoreExt};

use super::objects::Objects;
use super::used::{Id, seconds};
use super::{FarmStore, blocking};
use crate::scan::{Kind, Stored};
use crate::{DiskStore, Result};

/// What was used within this time is kept, whatever the bounds say.
pub const GRACE: Duration = Duration::from_secs(2 * 60 * 60);

/// Objects that are removed between two looks at what has been used.
const BATCH: usize = 256;

/// Of those, so many at once.
const AT_ONCE: usize = 32;

/// How long what was set aside is kept for people to look at.
const ASIDE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Folders of an object store with what was set aside.
const SET_ASIDE: [&str; 2] = ["quarantine", "findings"];

/// What a store keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// What was not used for so long goes. None: nothing for its age.
    pub age: Option<Duration>,
    /// Where the store has more bytes, what was used least recently goes until it has a tenth less. None: no bound.
    pub bytes: Option<u64>,
}

/// Some of what a store has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// Blobs.
    pub blobs: u64,
    /// Their bytes; in a folder each is rounded up to 4 KiB.
    pub blob_bytes: u64,
    /// Entries of the action cache.
    pub results: u64,
    /// Their bytes, likewise.
    pub result_bytes: u64,
}

impl Amount {
    /// Of blobs and results.
    pub fn bytes(&self) -> u64 {
        self.blob_bytes + self.result_bytes
    }

    fn add(&mut self, kind: Kind, bytes: u64) {
        let (count, sum) = match kind {
            Kind::Blob => (&mut self.blobs, &mut self.blob_bytes),
            Kind::Action => (&mut self.results, &mut self.result_bytes),
        };
        *count += 1;
        *sum += bytes;
    }
}

/// What a collection did; with a dry run, would have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Collected {
    /// What was there.
    pub before: Amount,
    /// What is no more.
    pub removed: Amount,
    /// Bytes above the bound that stay, since they were used within [`GRACE`].
    pub above_bound: u64,
    /// It was told to end before it was done.
    pub ended: bool,
}

/// One thing that is stored.
struct Item {
    used: SystemTime,
    bytes: u64,
    kind: Kind,
}

impl FarmStore {
    /// Removes what the retention does not keep. `go_on` is asked before each step, which takes seconds at most, and hears how
    /// much of what is to go has gone.
    ///
    /// Looks at all that is stored: a million things take some 100 MB of memory and, in an object store, 1,000 requests.
    ///
    /// # Errors
    ///
    /// The store cannot be used; what was removed until then stays so.
    pub async fn collect(
        &self,
        retention: Retention,
        dry_run: bool,
        mut go_on: impl FnMut(u64, u64) -> bool,
    ) -> Result<Collected> {
        let now = SystemTime::now();
        match &self.objects {
            Some(objects) => objects.collect(retention, dry_run, now, &mut go_on).await,
            None => {
                self.collect_folder(retention, dry_run, now, &mut go_on)
                    .await
            }
        }
    }

    /// What the store has. Looks at all of it.
    pub async fn amount(&self) -> Result<Amount> {
        match &self.objects {
            Some(objects) => objects.amount().await,
            None => {
                let amount = |local: &DiskStore| {
                    let mut amount = Amount::default();
                    local.scan(|file| amount.add(file.kind, file.bytes))?;
                    Ok(amount)
                };
                self.blocking(amount).await
            }
        }
    }

    async fn collect_folder(
        &self,
        retention: Retention,
        dry_run: bool,
        now: SystemTime,
        go_on: &mut impl FnMut(u64, u64) -> bool,
    ) -> Result<Collected> {
        let scan = |local: &DiskStore| {
            let mut files: Vec<Stored> = Vec::new();
            local.scan(|file| files.push(file))?;
            Ok(files)
        };
        let mut files = self.blocking(scan).await?;
        files.sort_unstable_by_key(|file| file.accessed);
        let items = files.iter().map(|file| Item {
            used: file.accessed,
            bytes: file.bytes,
            kind: file.kind,
        });
        let (mut collected, count) = choose(items, retention, now);
        files.truncate(count);
        if dry_run {
            collected.removed = sum(files.iter().map(|file| (file.kind, file.bytes)));
            return Ok(collected);
        }
        let limit = now - GRACE;
        let all = files.len() as u64;
        let mut rest = files;
        while !rest.is_empty() {
            if !go_on(all - rest.len() as u64, all) {
                collected.ended = true;
                break;
            }
            let batch: Vec<Stored> = rest.drain(..rest.len().min(BATCH)).collect();
            let local = self.local.clone();
            let removed = blocking(move || local.remove_unused(&batch, limit)).await?;
            for (kind, bytes) in removed {
                collected.removed.add(kind, bytes);
            }
        }
        Ok(collected)
    }
}

/// What is there, what stays above the bound, and how many of the items, which come in the order of their last use, are to go.
fn choose(
    items: impl Iterator<Item = Item> + Clone,
    retention: Retention,
    now: SystemTime,
) -> (Collected, usize) {
    let before = sum(items.clone().map(|item| (item.kind, item.bytes)));
    let age = |used: SystemTime| now.duration_since(used).unwrap_or_default();
    let goal = retention
        .bytes
        .filter(|bound| before.bytes() > *bound)
        .map(|bound| bound - bound / 10);
    let (mut count, mut left) = (0, before.bytes());
    for item in items {
        let too_old = retention.age.is_some_and(|kept| age(item.used) > kept);
        let too_much = goal.is_some_and(|goal| left > goal);
        if age(item.used) <= GRACE || !(too_old || too_much) {
            break;
        }
        count += 1;
        left -= item.bytes;
    }
    let collected = Collected {
        before,
        above_bound: retention
            .bytes
            .map_or(0, |bound| left.saturating_sub(bound)),
        ..Collected::default()
    };
    (collected, count)
}

fn sum(items: impl Iterator<Item = (Kind, u64)>) -> Amount {
    let mut amount = Amount::default();
    items.for_each(|(kind, bytes)| amount.add(kind, bytes));
    amount
}

/// An object that is a blob or a result.
#[derive(Clone, Copy)]
struct Object {
    id: Id,
    bytes: u64,
    written: SystemTime,
    /// When it was last used, as far as is known.
    used: SystemTime,
}

impl Objects {
    async fn collect(
        &self,
        retention: Retention,
        dry_run: bool,
        now: SystemTime,
        go_on: &mut impl FnMut(u64, u64) -> bool,
    ) -> Result<Collected> {
        // What this process has used and not said.
        self.write_used().await?;
        let (mut read, mut last) = (HashSet::new(), HashMap::new());
        // Before the objects are listed: what is noted from here on is read again before anything is removed.
        self.read_used(&mut read, &mut last).await?;
        let mut objects: Vec<Object> = Vec::new();
        self.each_object(|object| objects.push(object)).await?;
        for object in &mut objects {
            object.used = last_use(object, &last);
        }
        objects.sort_unstable_by_key(|object| object.used);
        let items = objects.iter().map(|object| Item {
            used: object.used,
            bytes: object.bytes,
            kind: object.id.kind,
        });
        let (mut collected, count) = choose(items, retention, now);
        let stay = objects.split_off(count);
        if dry_run {
            collected.removed = sum(objects.iter().map(|object| (object.id.kind, object.bytes)));
            return Ok(collected);
        }
        for (step, batch) in objects.chunks(BATCH).enumerate() {
            if !go_on((step * BATCH) as u64, objects.len() as u64) {
                collected.ended = true;
                return Ok(collected);
            }
            self.read_used(&mut read, &mut last).await?;
            let unused = batch.iter().copied();
            let unused = unused.filter(|object| last_use(object, &last) == object.used);
            let removed = stream::iter(unused).map(|object| self.remove_unused(object));
            let removed: Vec<Option<Object>> =
                removed.buffer_unordered(AT_ONCE).try_collect().await?;
            for object in removed.into_iter().flatten() {
                collected.removed.add(object.id.kind, object.bytes);
            }
        }
        let left: Vec<(Id, u64)> = stay
            .iter()
            .filter_map(|object| Some((object.id, *last.get(&object.id)?)))
            .collect();
        self.fold_used(read, &left).await?;
        self.tidy_aside(now).await?;
        Ok(collected)
    }

    async fn amount(&self) -> Result<Amount> {
        let mut amount = Amount::default();
        self.each_object(|object| amount.add(object.id.kind, object.bytes))
            .await?;
        Ok(amount)
    }

    /// All blobs and results, a page of the server's at a time.
    async fn each_object(&self, mut each: impl FnMut(Object)) -> Result<()> {
        for (folder, kind) in [("cas", Kind::Blob), ("actions", Kind::Action)] {
            let folder = self.below(&[folder]);
            let mut listed = self.store.list(Some(&folder));
            while let Some(meta) = listed.next().await {
                let meta = meta.map_err(self.failed("list", &folder))?;
                let mut hash = [0; 32];
                let name = meta.location.filename().unwrap_or_default();
                // What else lies there is not ours.
                if hex::decode_to_slice(name, &mut hash).is_ok() {
                    let written: SystemTime = meta.last_modified.into();
                    each(Object {
                        id: Id { kind, hash },
                        bytes: meta.size,
                        written,
                        used: written,
                    });
                }
            }
        }
        Ok(())
    }

    /// Removes an object, unless another one was written in its place since it was listed.
    async fn remove_unused(&self, object: Object) -> Result<Option<Object>> {
        let kind = match object.id.kind {
            Kind::Blob => "cas",
            Kind::Action => "actions",
        };
        let name = self.sharded(kind, &hex::encode(object.id.hash));
        match self.store.head(&name).await {
            Ok(meta) if SystemTime::from(meta.last_modified) == object.written => {}
            Ok(_) | Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(self.failed("look at", &name)(error)),
        }
        match self.store.delete(&name).await {
            Ok(()) => Ok(Some(object)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("remove", &name)(error)),
        }
    }

    /// Removes what was set aside long ago.
    async fn tidy_aside(&self, now: SystemTime) -> Result<()> {
        for folder in SET_ASIDE {
            let folder = self.below(&[folder]);
            let mut listed = self.store.list(Some(&folder));
            while let Some(meta) = listed.next().await {
                let meta = meta.map_err(self.failed("list", &folder))?;
                let age = now.duration_since(meta.last_modified.into());
                if !age.is_ok_and(|age| age > ASIDE) {
                    continue;
                }
                match self.store.delete(&meta.location).await {
                    Ok(()) | Err(Error::NotFound { .. }) => {}
                    Err(error) => return Err(self.failed("remove", &meta.location)(error)),
                }
            }
        }
        Ok(())
    }
}

fn last_use(object: &Object, last: &HashMap<Id, u64>) -> SystemTime {
    let noted = last.get(&object.id).copied().unwrap_or_default();
    // In whole seconds, which is what a note has: of one second, the note says nothing new.
    if noted > seconds(object.written) {
        UNIX_EPOCH + Duration::from_secs(noted)
    } else {
        object.written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(60 * 60);

    fn chosen(ages: &[u64], retention: Retention) -> (usize, u64) {
        let now = SystemTime::now();
        let items: Vec<(SystemTime, u64)> = ages
            .iter()
            .map(|hours| (now - *hours as u32 * HOUR, 10))
            .collect();
        let items = items.iter().map(|(used, bytes)| Item {
            used: *used,
            bytes: *bytes,
            kind: Kind::Blob,
        });
        let (collected, count) = choose(items, retention, now);
        (count, collected.above_bound)
    }

    #[test]
    fn what_was_not_used_for_longer_than_the_age_goes() {
        let age = |hours: u32| Retention {
            age: Some(hours * HOUR),
            bytes: None,
        };
        assert_eq!(chosen(&[100, 50, 10], age(40)), (2, 0));
        assert_eq!(chosen(&[100, 50, 10], age(200)), (0, 0));
        assert_eq!(chosen(&[100, 50, 10], Retention::default()), (0, 0));
    }

    #[test]
    fn above_the_bound_the_oldest_goes_until_a_tenth_is_free() {
        let bytes = |bound: u64| Retention {
            age: None,
            bytes: Some(bound),
        };
        assert_eq!(chosen(&[9, 8, 7, 6], bytes(40)), (0, 0));
        assert_eq!(chosen(&[9, 8, 7, 6], bytes(39)), (1, 0));
        assert_eq!(chosen(&[9, 8, 7, 6], bytes(20)), (3, 0));
    }

    #[test]
    fn nothing_goes_that_was_used_within_the_grace() {
        let all = Retention {
            age: Some(Duration::ZERO),
            bytes: Some(0),
        };
        assert_eq!(chosen(&[9, 3, 1, 0], all), (2, 20));
    }
}
