//! Tasks that wait, in an order that finds the best one that fits without looking at those that do not.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use gofarm_proto::ActionKey;

use gofarm_engine::core::Priority;

/// Bit lengths of a number of MiB that fits into 64 bits of bytes, and zero.
const CLASSES: usize = 45;

/// Tasks looked at in the one class of which some fit and some do not.
const SCAN: usize = 64;

/// Tasks looked at in a search for those that fit nowhere.
const SWEEP: usize = 4096;

/// The place of a task: greatest priority first, then oldest first.
pub(super) type Rank = (Reverse<Priority>, u64);

/// What a waiting task needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Need {
    pub bytes: u64,
    /// Measured, as opposed to assumed.
    pub recorded: bool,
}

/// Where a waiting task stands in its share.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    pub place: Rank,
    pub need: Need,
    /// The worker that alone may have it now.
    pub kept_for: Option<Arc<str>>,
}

type Tasks = BTreeMap<Rank, (ActionKey, Need)>;

/// Waiting tasks by memory class: class c holds needs of c bits in MiB. All of a lower class than a worker's free
/// memory fit, all of a higher do not, so a look is at the heads of the classes and a bounded scan of one of them,
/// however many tasks wait that do not fit.
#[derive(Debug)]
pub(super) struct Ready {
    classes: Vec<Tasks>,
    /// By the worker that they are kept for.
    kept: HashMap<Arc<str>, Tasks>,
    tasks: usize,
    /// Those of them whose need is assumed.
    guesses: usize,
}

impl Default for Ready {
    fn default() -> Self {
        Ready {
            classes: vec![BTreeMap::new(); CLASSES],
            kept: HashMap::new(),
            tasks: 0,
            guesses: 0,
        }
    }
}

impl Ready {
    pub fn insert(&mut self, spot: &Spot, key: ActionKey) {
        let tasks = match &spot.kept_for {
            Some(worker) => self.kept.entry(worker.clone()).or_default(),
            None => &mut self.classes[class(spot.need.bytes)],
        };
        tasks.insert(spot.place, (key, spot.need));
        self.tasks += 1;
        self.guesses += usize::from(!spot.need.recorded);
    }

    pub fn remove(&mut self, spot: &Spot) {
        let removed = match &spot.kept_for {
            Some(worker) => {
                let tasks = self.kept.get_mut(worker);
                let removed = tasks.and_then(|tasks| tasks.remove(&spot.place));
                if self.kept.get(worker).is_some_and(Tasks::is_empty) {
                    self.kept.remove(worker);
                }
                removed
            }
            None => self.classes[class(spot.need.bytes)].remove(&spot.place),
        };
        if removed.is_some() {
            self.tasks -= 1;
            self.guesses -= usize::from(!spot.need.recorded);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.tasks == 0
    }

    /// The first task that fits into `free` bytes; with `idle` also one of which only a guess says that it does not. `left`
    /// is how many tasks may still be looked at. What is kept for this worker comes before all other.
    pub fn best(
        &self,
        worker: &str,
        free: u64,
        idle: bool,
        left: &mut usize,
    ) -> Option<(ActionKey, Need)> {
        let fits = |need: &Need| need.bytes <= free || (idle && !need.recorded);
        let kept = self.kept.get(worker).into_iter().flat_map(Tasks::values);
        let mut kept = kept.take(SCAN.min(*left)).inspect(|_| *left -= 1);
        if let Some(found) = kept.find(|(_, need)| fits(need)) {
            return Some(*found);
        }
        let mut best: Option<(Rank, ActionKey, Need)> = None;
        // Of a greater class only a guess can fit.
        let classes = match idle && self.guesses > 0 {
            true => &self.classes[..],
            false => &self.classes[..=class(free)],
        };
        for tasks in classes {
            let found = tasks
                .iter()
                .take(SCAN.min(*left))
                .inspect(|_| *left -= 1)
                .find(|(_, (_, need))| fits(need))
                .map(|(place, (key, need))| (*place, *key, *need));
            if let Some(found) = found
                && best.is_none_or(|best| found.0 < best.0)
            {
                best = Some(found);
            }
        }
        best.map(|(_, key, need)| (key, need))
    }

    /// At most `limit` tasks whose recorded need is greater than this, the classes of the greatest needs first.
    /// Looks at a bounded number: behind those may be more, but those in front fit and will go.
    pub fn larger_than(&self, bytes: u64, limit: usize) -> Vec<(ActionKey, Need)> {
        self.classes[class(bytes)..]
            .iter()
            .rev()
            .flat_map(BTreeMap::values)
            .take(SWEEP)
            .filter(|(_, need)| need.recorded && need.bytes > bytes)
            .take(limit)
            .copied()
            .collect()
    }
}

fn class(bytes: u64) -> usize {
    (u64::BITS - (bytes >> 20).leading_zeros()) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(priority: u64, sequence: u64) -> Rank {
        (Reverse(Priority::of_remaining_path(priority)), sequence)
    }

    fn spot(place: Rank, need: Need) -> Spot {
        Spot {
            place,
            need,
            kept_for: None,
        }
    }

    fn recorded(mib: u64) -> Need {
        Need {
            bytes: mib << 20,
            recorded: true,
        }
    }

    #[test]
    fn every_size_has_a_class() {
        assert_eq!(class(0), 0);
        assert_eq!(class((1 << 20) - 1), 0);
        assert_eq!(class(1 << 20), 1);
        assert_eq!(class(u64::MAX), CLASSES - 1);
    }

    #[test]
    fn the_first_that_fits_is_found_among_those_that_do_not() {
        let mut ready = Ready::default();
        for i in 0..1000 {
            ready.insert(
                &spot(place(1000 - i, i), recorded(4096)),
                ActionKey([1; 32]),
            );
        }
        ready.insert(&spot(place(2, 2000), recorded(100)), ActionKey([2; 32]));
        ready.insert(&spot(place(3, 2001), recorded(500)), ActionKey([3; 32]));
        let best = |mib: u64| {
            let found = ready.best("w", mib << 20, false, &mut 1_000);
            found.map(|(key, _)| key.0[0])
        };
        assert_eq!(best(50), None);
        assert_eq!(best(100), Some(2));
        assert_eq!(best(500), Some(3));
        assert_eq!(best(4096), Some(1));
    }

    #[test]
    fn a_guess_keeps_no_task_from_an_idle_worker() {
        let mut ready = Ready::default();
        let guess = Need {
            bytes: 256 << 20,
            recorded: false,
        };
        ready.insert(&spot(place(1, 1), guess), ActionKey([1; 32]));
        assert_eq!(ready.best("w", 1 << 20, false, &mut 1_000), None);
        assert!(ready.best("w", 1 << 20, true, &mut 1_000).is_some());
        assert!(ready.larger_than(1 << 20, 10).is_empty());
    }
}
