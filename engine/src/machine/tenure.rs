//! Owning builds: renewing, taking over, losing.

use std::time::Duration;

use gofarm_proto::v1;

use super::Engine;
use super::command::{Command, Told};
use super::message::Away;
use crate::core::{Event, Millis};
use crate::registry::{Ownership, Tenure};

/// Builds taken over in one round: the other replicas want some too.
const TAKE_OVER: usize = 16;
/// After trouble with the registry, owners that are alive are given so long to renew before builds are taken over.
const GRACE: Duration = Duration::from_secs(3);
/// An answer that took longer than this is trouble.
const SLOW: Duration = Duration::from_millis(1500);
/// Tasks of a build that another replica has now are cancelled so much later, when that one has joined them.
const JOINED_BY: Duration = Duration::from_secs(5);

/// A round of renewing.
#[derive(Debug)]
pub(super) struct RenewalRound {
    since: Millis,
    /// What is renewed, each with the last event that the registry is known to have had when the round began.
    held: Vec<(Ownership, u64)>,
}

impl Engine {
    pub(super) fn registry_failed(&mut self) {
        self.trouble = Some(self.now.at);
    }

    fn has_passed(&self, since: Millis, time: Duration) -> bool {
        u128::from(self.now.at.since(since)) > time.as_millis()
    }

    /// Renews everything, and takes over what has run out.
    pub(super) fn renew(&mut self) {
        if !self.has_registry() {
            return;
        }
        if self.renewal.is_some() {
            self.renew_again = true;
            return;
        }
        self.renew_again = false;
        let builds = self.builds.values();
        let builds = builds.filter_map(|build| {
            let held = build.ownership.clone()?;
            Some((held, build.log.confirmed()))
        });
        let adopting = self.adopting.values().map(|held| (held.clone(), 0));
        let held: Vec<(Ownership, u64)> = builds.chain(adopting).collect();
        let owned = held.iter().map(|(held, _)| held.clone()).collect();
        self.renewal = Some(RenewalRound {
            since: self.now.at,
            held,
        });
        self.commands.push(Command::Renew(owned));
    }

    pub(super) fn renewed(&mut self, tenures: Result<Vec<Tenure>, Away>) {
        let Some(RenewalRound { since, held }) = self.renewal.take() else {
            return;
        };
        let may_take = self
            .trouble
            .is_none_or(|trouble| self.has_passed(trouble, GRACE));
        let slow = self.has_passed(since, SLOW);
        if slow {
            self.registry_failed();
        }
        let renewed = tenures.is_ok();
        match tenures {
            Ok(tenures) => {
                for ((ownership, confirmed), tenure) in held.into_iter().zip(tenures) {
                    self.tenure(&ownership, confirmed, tenure, since);
                }
            }
            Err(Away) => self.registry_failed(),
        }
        if renewed && may_take && !slow {
            self.renewal = Some(RenewalRound {
                since: self.now.at,
                held: Vec::new(),
            });
            self.commands.push(Command::TakeOver { most: TAKE_OVER });
        } else if self.renew_again {
            self.renew();
        }
    }

    pub(super) fn taken(&mut self, taken: Result<Vec<Ownership>, Away>) {
        self.renewal = None;
        match taken {
            Ok(taken) => taken.into_iter().for_each(|taken| self.adopt(taken)),
            Err(Away) => self.registry_failed(),
        }
        if self.renew_again {
            self.renew();
        }
    }

    /// What the registry says of an ownership that was to be renewed when the round began.
    fn tenure(&mut self, ownership: &Ownership, confirmed: u64, tenure: Tenure, asked: Millis) {
        match tenure {
            Tenure::Held {
                last,
                cancelled,
                provided,
            } => {
                if let Some(build) = self.builds.get_mut(&ownership.build) {
                    if build.ownership.as_ref() == Some(ownership) {
                        build.is_held(asked);
                        if last < confirmed {
                            build.lose(self.now.at);
                        }
                    }
                    if cancelled && !build.is_over() {
                        let id = ownership.build;
                        match build.resuming {
                            // The core does not know it yet, and may not for long: the store may be away.
                            Some(_) => self.end_unread(id, v1::BuildResult::Cancelled),
                            None => self.step(Event::Cancel(id)),
                        }
                    }
                }
                for provided in provided {
                    self.provided(ownership.build, &provided);
                }
            }
            Tenure::Unknown => {
                if let Some(build) = self.builds.get_mut(&ownership.build) {
                    tracing::warn!(build = %ownership.build, "registry has lost a build; writing it again");
                    build.lose(self.now.at);
                } else if self.adopting.get(&ownership.build) == Some(ownership) {
                    // Nothing of it was in memory yet.
                    self.adopting.remove(&ownership.build);
                }
            }
            Tenure::Lost => self.lose(ownership),
        }
    }

    /// This replica is the owner now.
    fn adopt(&mut self, ownership: Ownership) {
        let id = ownership.build;
        if let Some(build) = self.builds.get_mut(&id) {
            let before = build.ownership.clone();
            let next = before.as_ref().and_then(|held| held.epoch.checked_add(1));
            if next == Some(ownership.epoch) {
                // Its own, run out while it could not renew.
                build.ownership = Some(ownership);
                build.is_held(self.now.at);
                return;
            }
            // Another replica had it meanwhile: what is in memory here is not what its watchers have been told.
            if let Some(before) = before {
                self.lose(&before);
            }
        }
        // What is read for an earlier time of owning it may lack what was written since.
        self.adopting.insert(id, ownership.clone());
        tracing::warn!(build = %id, epoch = ownership.epoch, "taking a build over");
        self.commands.push(Command::ReadBuild(ownership));
    }

    /// Another replica is the owner now: nothing about the build is said or written any more.
    pub(super) fn lose(&mut self, ownership: &Ownership) {
        let id = ownership.build;
        if self.adopting.get(&id) == Some(ownership) {
            self.adopting.remove(&id);
        }
        let held = self.builds.get(&id);
        if held.is_none_or(|build| build.ownership.as_ref() != Some(ownership)) {
            return;
        }
        tracing::warn!(build = %id, "build is owned by another replica now; letting go of it");
        self.builds.remove(&id);
        self.commands.push(Command::Tell(Box::new(Told::LetGo(id))));
        self.outbox.hold_back();
        self.step(Event::Forget(id));
        let due = Millis(self.now.at.0 + JOINED_BY.as_millis() as u64);
        for (key, run) in self.outbox.held_back() {
            self.delayed.push(due, id, key, run);
        }
    }

    /// Hands all builds over: another replica goes on with them at once. What runs goes on running.
    pub(super) fn stop(&mut self, late: Vec<Ownership>) {
        self.stopped = true;
        let mut held = late;
        held.extend(std::mem::take(&mut self.adopting).into_values());
        let mut appends = Vec::new();
        for build in self.builds.values_mut() {
            held.extend(build.ownership.clone());
            if !build.log.is_lost() && (build.log.is_dirty() || build.is_over()) {
                appends.extend(build.append_rest());
            }
        }
        if self.has_registry() {
            let records = self.outbox.rest_of_expected();
            self.commands.push(Command::HandOver {
                appends,
                held,
                records,
            });
        }
    }
}
