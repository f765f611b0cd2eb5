//! What Redis knows of builds, under the eyes of whoever checks what it lets pass.

use gofarm_engine::core::{BuildId, Owner};
use gofarm_engine::registry::{Append, Appended, BuildTable, Ownership, Restore, Tenure};
use gofarm_engine::{Away, Left, Now, WriteOutcome, Written};
use gofarm_proto::{Message as _, v1};

use crate::flaw::Flaw;

/// The registry of a farm, with its part of a flaw.
#[derive(Debug, Default)]
pub(super) struct Registry {
    table: BuildTable,
    flaw: Option<Flaw>,
    lost: bool,
}

impl Registry {
    pub fn new(flaw: Option<Flaw>) -> Registry {
        Registry {
            table: BuildTable::default(),
            flaw,
            lost: false,
        }
    }

    /// Loses everything.
    pub fn reset(&mut self) {
        self.table = BuildTable::default();
        self.lost = true;
    }

    /// Whether it has ever lost anything.
    pub fn has_lost(&self) -> bool {
        self.lost
    }

    /// The table, for whoever only asks or is no owner.
    pub fn table(&mut self) -> &mut BuildTable {
        &mut self.table
    }

    pub fn renew(&mut self, held: &[Ownership], now: Now) -> Vec<Tenure> {
        let mut tenures = self.table.renew(held, now);
        let unheard = match self.flaw {
            Some(Flaw::KeepsLostBuilds) => Tenure::Lost,
            Some(Flaw::NoRestore) => Tenure::Unknown,
            _ => return tenures,
        };
        for tenure in tenures.iter_mut().filter(|tenure| **tenure == unheard) {
            *tenure = Tenure::Held {
                last: u64::MAX,
                cancelled: false,
                provided: Vec::new(),
            };
        }
        tenures
    }

    pub fn release(&mut self, held: &[Ownership], now: Now) {
        self.table.release(held, now);
    }

    pub fn take_over(&mut self, owner: &Owner, most: usize, now: Now) -> Vec<Ownership> {
        self.table.take_over(owner, most, now)
    }

    /// Writes; an offence if something was written for somebody who is not the owner.
    pub fn write(
        &mut self,
        restores: Vec<Restore>,
        appends: Vec<Append>,
        now: Now,
    ) -> (Vec<Written>, Option<String>) {
        let mut written = Vec::new();
        let mut offence = None;
        for restore in restores {
            let restored = match self.flaw {
                // Says so, and does nothing.
                Some(Flaw::NoRestore) => true,
                _ => self.table.restore(&restore, now),
            };
            written.push(Written {
                ownership: restore.ownership,
                outcome: WriteOutcome::Restored(Ok(restored)),
            });
        }
        for mut append in appends {
            let shown = append.ownership.clone();
            let owner = self.table.owner(shown.build);
            let owned = owner.as_ref() == Some(&shown);
            if self.flaw == Some(Flaw::UnfencedAppends)
                && let Some(owner) = owner
            {
                append.ownership = owner;
            }
            let appended = match self.flaw {
                Some(Flaw::LosesAppends) if append.after % 7 == 3 => Appended::Done,
                _ => self.table.append(&append),
            };
            if appended == Appended::Done && !owned && self.flaw != Some(Flaw::LosesAppends) {
                offence = Some(format!("{shown:?} is no owner, and wrote events"));
            }
            let appended = match (self.flaw, appended) {
                (Some(Flaw::KeepsLostBuilds), Appended::Lost) => Err(Away),
                (_, appended) => Ok(appended),
            };
            written.push(Written {
                outcome: outcome(&append, appended),
                ownership: shown,
            });
        }
        (written, offence)
    }

    /// What an earlier owner left of a build.
    pub fn left(&self, build: BuildId) -> Option<Left> {
        let record = self.table.get(build)?;
        let events = match self.flaw {
            Some(Flaw::ForgetsLog) => Vec::new(),
            _ => self.table.events(build, 0, usize::MAX)?,
        };
        let events = events.into_iter().filter_map(|bytes| {
            let event = v1::BuildEvent::decode(bytes.clone()).ok()?;
            Some((event, bytes))
        });
        Some(Left {
            record,
            events: events.collect(),
        })
    }
}

/// The outcome of an append.
pub(super) fn outcome(append: &Append, appended: Result<Appended, Away>) -> WriteOutcome {
    WriteOutcome::Events {
        up_to: append.up_to(),
        dropped: append.dropped.len(),
        over: append.record.finished_ms != 0,
        appended,
    }
}
