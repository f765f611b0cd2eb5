//! Owning builds: renewing, taking over, losing.

use std::time::Duration;

use tokio::time::Instant;

use super::actor::Actor;
use super::message::{Message, Renewed};
use super::opening;
use crate::registry::{Ownership, Tenure};
use gofarm_engine::core::Event;

/// Builds taken over in one round: the other replicas want some too.
const TAKE_OVER: usize = 16;
/// After trouble with the registry, owners that are alive are given so long to renew before builds are taken over.
const GRACE: Duration = Duration::from_secs(3);
/// An answer that took longer than this is trouble.
const SLOW: Duration = Duration::from_millis(1500);
/// Tasks of a build that another replica has now are cancelled so much later, when that one has joined them.
const JOINED_BY: Duration = Duration::from_secs(5);
/// One wait for the doorbell of owners.
const CONTROL: Duration = Duration::from_secs(60);

impl Actor {
    pub fn wait_for_control(&mut self) {
        let registry = self.registry.clone();
        self.work.spawn(async move {
            registry.control(CONTROL).await;
            Message::Control
        });
    }

    pub fn registry_failed(&mut self) {
        self.trouble = Some(Instant::now());
    }

    /// Renews everything, and takes over what has run out.
    pub fn renew(&mut self) {
        if self.renewing {
            self.renew_again = true;
            return;
        }
        (self.renewing, self.renew_again) = (true, false);
        let builds = self.builds.values();
        let builds = builds.map(|build| (build.ownership.clone(), build.log.confirmed()));
        let adopting = self.adopting.values().map(|held| (held.clone(), 0));
        let held: Vec<(Ownership, u64)> = builds.chain(adopting).collect();
        let may_take = self.trouble.is_none_or(|trouble| trouble.elapsed() > GRACE);
        let (registry, owner) = (self.registry.clone(), self.owner.clone());
        self.work.spawn(async move {
            let began = Instant::now();
            let owned: Vec<Ownership> = held.iter().map(|(held, _)| held.clone()).collect();
            let tenures = registry.renew(&owned).await;
            let took = began.elapsed();
            let taken = if may_take && tenures.is_ok() && took < SLOW {
                registry.take_over(&owner, TAKE_OVER).await
            } else {
                Ok(Vec::new())
            };
            Message::Renewed(Box::new(Renewed {
                held,
                tenures,
                taken,
                took,
            }))
        });
    }

    pub fn renewed(&mut self, renewed: Renewed) {
        self.renewing = false;
        let Renewed {
            held,
            tenures,
            taken,
            took,
        } = renewed;
        if took >= SLOW {
            self.registry_failed();
        }
        match tenures {
            Ok(tenures) => {
                for ((ownership, confirmed), tenure) in held.into_iter().zip(tenures) {
                    self.tenure(&ownership, confirmed, tenure);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "ownership of builds is not renewed; trying again");
                self.registry_failed();
            }
        }
        match taken {
            Ok(taken) => taken.into_iter().for_each(|taken| self.adopt(taken)),
            Err(error) => {
                tracing::warn!(%error, "builds without an owner cannot be taken over; trying again");
                self.registry_failed();
            }
        }
        if self.renew_again {
            self.renew();
        }
    }

    fn tenure(&mut self, ownership: &Ownership, confirmed: u64, tenure: Tenure) {
        match tenure {
            Tenure::Held {
                last,
                cancelled,
                provided,
            } => {
                if let Some(build) = self.builds.get_mut(&ownership.build) {
                    if last < confirmed && build.ownership == *ownership {
                        build.log.lose();
                    }
                    if cancelled && !build.is_over() {
                        self.step(Event::Cancel(ownership.build));
                    }
                }
                for provided in provided {
                    self.provided(&provided);
                }
            }
            Tenure::Unknown => {
                if let Some(build) = self.builds.get_mut(&ownership.build) {
                    tracing::warn!(build = %ownership.build, "registry has lost a build; writing it again");
                    build.log.lose();
                } else {
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
            // Its own, run out while it could not renew.
            build.ownership = ownership;
            return;
        }
        if self.adopting.insert(id, ownership.clone()).is_some() {
            return;
        }
        tracing::warn!(build = %id, epoch = ownership.epoch, "taking a build over");
        let (registry, store) = (self.registry.clone(), self.store.clone());
        let patience = self.options.wanted_patience;
        self.work.spawn(async move {
            let opening = opening::adopt(ownership, registry, store, patience).await;
            Message::Adopted(id, opening)
        });
    }

    /// Another replica is the owner now: nothing about the build is said or written any more.
    pub fn lose(&mut self, ownership: &Ownership) {
        let id = ownership.build;
        if self.adopting.get(&id) == Some(ownership) {
            self.adopting.remove(&id);
        }
        let held = self.builds.get(&id);
        if held.is_none_or(|build| build.ownership != *ownership) {
            return;
        }
        tracing::warn!(build = %id, "build is owned by another replica now; letting go of it");
        self.builds.remove(&id);
        let before = self.outbox.waiting_for_queue();
        self.step(Event::Forget(id));
        let due = Instant::now() + JOINED_BY;
        for (key, run) in self.outbox.hold_back(before) {
            self.delayed.push_back((due, key, run));
        }
    }
}
