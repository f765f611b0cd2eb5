//! Builds and who owns them, in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gofarm_proto::v1;

use super::{Append, Appended, Ownership, Restore, Tenure};
use crate::Now;
use crate::core::{BuildId, Millis};

/// How long a build stays owned without renewal. A replica that dies is replaced this long after its last renewal,
/// and about a second later at most.
pub const OWNERSHIP_TTL: Duration = Duration::from_secs(5);

/// How long a build that is over is remembered.
pub const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// The builds of a farm, as one registry has them: what every registry does is what this does. It is the registry of a farm with one
/// replica, that of the simulation, and what the one on Redis is compared with.
#[derive(Debug, Default)]
pub struct BuildTable {
    /// Ordered, so that equal calls give equal answers.
    builds: BTreeMap<BuildId, Known>,
}

#[derive(Debug)]
struct Known {
    record: v1::Build,
    /// None: released.
    owner: Option<Arc<str>>,
    epoch: u64,
    deadline: Millis,
    events: BTreeMap<u64, Bytes>,
    last: u64,
    /// Who wrote the last event.
    writer: Option<Arc<str>>,
    cancelled: bool,
    provided: Vec<v1::ProvideRequest>,
}

impl Known {
    fn owned(ownership: &Ownership, record: v1::Build, now: Now) -> Known {
        Known {
            record,
            owner: Some(ownership.owner.clone()),
            epoch: ownership.epoch,
            deadline: deadline(now),
            events: BTreeMap::new(),
            last: 0,
            writer: None,
            cancelled: false,
            provided: Vec::new(),
        }
    }

    fn is_owned_by(&self, ownership: &Ownership) -> bool {
        self.owner.as_ref() == Some(&ownership.owner) && self.epoch == ownership.epoch
    }

    fn is_over(&self) -> bool {
        self.record.finished_ms != 0
    }

    fn record(&self) -> v1::Build {
        let owner = self.owner.as_deref().filter(|_| !self.is_over());
        v1::Build {
            owner: owner.unwrap_or_default().to_owned(),
            ..self.record.clone()
        }
    }
}

fn deadline(now: Now) -> Millis {
    Millis(now.at.0 + OWNERSHIP_TTL.as_millis() as u64)
}

impl BuildTable {
    /// Makes a build known and this replica its owner. `None` when it is known already, which changes nothing.
    pub fn submit(
        &mut self,
        build: BuildId,
        owner: &Arc<str>,
        record: &v1::Build,
        now: Now,
    ) -> Option<Ownership> {
        if self.builds.contains_key(&build) {
            return None;
        }
        let ownership = Ownership {
            build,
            owner: owner.clone(),
            epoch: 1,
        };
        let known = Known::owned(&ownership, record.clone(), now);
        self.builds.insert(build, known);
        Some(ownership)
    }

    /// A build as its owner last wrote it.
    pub fn get(&self, build: BuildId) -> Option<v1::Build> {
        self.builds.get(&build).map(Known::record)
    }

    /// Known builds, the latest first, at most `limit`; with `open` only those that are not over.
    pub fn list(&self, limit: usize, open: bool) -> Vec<v1::Build> {
        let builds = self.builds.values();
        let mut builds: Vec<&Known> = builds.filter(|known| !(open && known.is_over())).collect();
        builds.sort_by(|a, b| {
            let key = |known: &Known| (known.record.submitted_ms, known.record.build.clone());
            key(b).cmp(&key(a))
        });
        builds.truncate(limit);
        builds.into_iter().map(Known::record).collect()
    }

    /// Prolongs ownerships; one answer for each, in order.
    pub fn renew(&mut self, held: &[Ownership], now: Now) -> Vec<Tenure> {
        let tenures = held.iter().map(|ownership| {
            let Some(known) = self.builds.get_mut(&ownership.build) else {
                return Tenure::Unknown;
            };
            if !known.is_owned_by(ownership) {
                return Tenure::Lost;
            }
            known.deadline = deadline(now);
            Tenure::Held {
                last: known.last,
                cancelled: known.cancelled,
                provided: std::mem::take(&mut known.provided),
            }
        });
        tenures.collect()
    }

    /// Gives builds up that are not over: another replica takes them over at once.
    pub fn release(&mut self, held: &[Ownership], now: Now) {
        for ownership in held {
            if let Some(known) = self.builds.get_mut(&ownership.build)
                && known.is_owned_by(ownership)
                && !known.is_over()
            {
                known.owner = None;
                known.deadline = now.at;
            }
        }
    }

    /// Makes this replica the owner of builds whose ownership has run out, at most `limit` of them. Those that it is the owner of
    /// itself are among them.
    pub fn take_over(&mut self, owner: &Arc<str>, limit: usize, now: Now) -> Vec<Ownership> {
        let open = self.builds.iter_mut();
        let open = open.filter(|(_, known)| !known.is_over() && known.deadline <= now.at);
        let taken = open.take(limit).map(|(build, known)| {
            known.owner = Some(owner.clone());
            known.epoch += 1;
            known.deadline = deadline(now);
            Ownership {
                build: *build,
                owner: owner.clone(),
                epoch: known.epoch,
            }
        });
        taken.collect()
    }

    /// Open builds whose ownership has run out, and when it did.
    pub fn ownerless(&self, now: Now) -> impl Iterator<Item = (BuildId, Millis)> {
        let open = self.builds.iter().filter(|(_, known)| !known.is_over());
        let open = open.map(|(build, known)| (*build, known.deadline));
        open.filter(move |(_, deadline)| *deadline <= now.at)
    }

    /// Forgets builds that have been over for [`REMEMBERED`], and of the others that are over all but the latest, so many.
    pub fn forget(&mut self, most: usize, now: Now) {
        self.builds.retain(|_, known| {
            let over = now.wall_ms.saturating_sub(known.record.finished_ms);
            !known.is_over() || Duration::from_millis(over) < REMEMBERED
        });
        let over = self.builds.iter().filter(|(_, known)| known.is_over());
        let mut over: Vec<(u64, BuildId)> = over
            .map(|(build, known)| (known.record.finished_ms, *build))
            .collect();
        over.sort_unstable();
        for (_, build) in over.iter().rev().skip(most) {
            self.builds.remove(build);
        }
    }

    /// Adds events to a build and replaces its record.
    pub fn append(&mut self, append: &Append) -> Appended {
        let Some(known) = self.builds.get_mut(&append.ownership.build) else {
            return Appended::Behind;
        };
        if !known.is_owned_by(&append.ownership) {
            return Appended::Lost;
        }
        if known.last < append.after {
            return Appended::Behind;
        }
        let wrote = known.writer.as_ref() == Some(&append.ownership.owner);
        if known.last > append.after && !wrote {
            // It does not know what another owner has told.
            return Appended::Lost;
        }
        for cursor in &append.dropped {
            known.events.remove(cursor);
        }
        for event in &append.events {
            if event.cursor > known.last {
                known.events.insert(event.cursor, event.bytes.clone());
                known.last = event.cursor;
                known.writer = Some(append.ownership.owner.clone());
            }
        }
        // An earlier try may come later than what followed it. What is over stays so, unless it is restored.
        let reopens = known.is_over() && append.record.finished_ms == 0;
        if append.up_to() >= known.last && !reopens {
            known.record = append.record.clone();
            if known.is_over() {
                known.provided.clear();
            }
        }
        Appended::Done
    }

    /// Makes a build that was lost, or whose events were, known again with an empty log. False, and nothing is changed, if it is
    /// another replica's by now.
    pub fn restore(&mut self, restore: &Restore, now: Now) -> bool {
        let Restore {
            ownership,
            record,
            confirmed,
        } = restore;
        let mut known = Known::owned(ownership, record.clone(), now);
        if let Some(before) = self.builds.remove(&ownership.build) {
            let owned = before.is_owned_by(ownership);
            if !owned || before.last >= *confirmed {
                self.builds.insert(ownership.build, before);
                return owned;
            }
            // What was said to the owner, and was not heard yet, still holds.
            (known.cancelled, known.provided) = (before.cancelled, before.provided);
        }
        self.builds.insert(ownership.build, known);
        true
    }

    /// At most `max` events after a cursor, encoded, in order. `None` when the build is not known.
    pub fn events(&self, build: BuildId, after: u64, max: usize) -> Option<Vec<Bytes>> {
        let known = self.builds.get(&build)?;
        let events = known.events.range(after.saturating_add(1)..).take(max);
        Some(events.map(|(_, bytes)| bytes.clone()).collect())
    }

    /// Replaces the record of a build that is over, and lets go of its events, if this was its last owner.
    pub fn archive(&mut self, ownership: &Ownership, record: &v1::Build) {
        if let Some(known) = self.builds.get_mut(&ownership.build)
            && known.is_owned_by(ownership)
            && known.is_over()
        {
            known.record = record.clone();
            known.events.clear();
        }
    }

    /// Tells the owner of a build to end it. False when the build is not known; one that is over stays as it is.
    pub fn cancel(&mut self, build: BuildId) -> bool {
        let Some(known) = self.builds.get_mut(&build) else {
            return false;
        };
        known.cancelled |= !known.is_over();
        true
    }

    /// Passes on to the owner of a build what a watcher provides. False when the build is not known.
    pub fn provide(&mut self, build: BuildId, provided: &v1::ProvideRequest) -> bool {
        let Some(known) = self.builds.get_mut(&build) else {
            return false;
        };
        if !known.is_over() {
            known.provided.push(provided.clone());
        }
        true
    }

    /// Who owns a build, if anybody does.
    pub fn owner(&self, build: BuildId) -> Option<Ownership> {
        let known = self.builds.get(&build)?;
        Some(Ownership {
            build,
            owner: known.owner.clone()?,
            epoch: known.epoch,
        })
    }
}
