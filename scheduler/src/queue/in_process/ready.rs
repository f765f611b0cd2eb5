//! Tasks that wait, in an order that finds the best one that fits without looking at those that do not.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use gofarm_proto::ActionKey;

use crate::core::Priority;

/// Bit lengths of a number of MiB that fits into 64 bits of bytes, and zero.
const CLASSES: usize = 45;

/// Tasks looked at in the one class of which some fit and some do not.
const SCAN: usize = 64;

/// Tasks looked at in a search for those that fit nowhere.
const SWEEP: usize = 4096;

/// The place of a task: greatest priority first, then oldest first.
pub(super) type Place = (Reverse<Priority>, u64);

/// What a waiting task needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Need {
    pub bytes: u64,
    /// Measured, as opposed to assumed.
    pub recorded: bool,
}

/// Waiting tasks by memory class: class c holds needs of c bits in MiB. All of a lower class than a worker's free
/// memory fit, all of a higher do not, so a look is at the heads of the classes and a bounded scan of one of them,
/// however many tasks wait that do not fit.
#[derive(Debug)]
pub(super) struct Ready {
    classes: Vec<BTreeMap<Place, (ActionKey, Need)>>,
}

impl Default for Ready {
    fn default() -> Self {
        Ready {
            classes: vec![BTreeMap::new(); CLASSES],
        }
    }
}

impl Ready {
    pub fn insert(&mut self, place: Place, key: ActionKey, need: Need) {
        self.classes[class(need.bytes)].insert(place, (key, need));
    }

    pub fn remove(&mut self, place: Place, need: Need) {
        self.classes[class(need.bytes)].remove(&place);
    }

    /// The first task that fits into `free` bytes; with `idle` also one of which only a guess says that it does not.
    pub fn best(&self, free: u64, idle: bool) -> Option<(ActionKey, Need)> {
        let mut best: Option<(Place, ActionKey, Need)> = None;
        for tasks in &self.classes {
            let fits = |need: &Need| need.bytes <= free || (idle && !need.recorded);
            let found = tasks
                .iter()
                .take(SCAN)
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

    fn place(priority: u64, sequence: u64) -> Place {
        (Reverse(Priority::of_remaining_path(priority)), sequence)
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
            ready.insert(place(1000 - i, i), ActionKey([1; 32]), recorded(4096));
        }
        ready.insert(place(2, 2000), ActionKey([2; 32]), recorded(100));
        ready.insert(place(3, 2001), ActionKey([3; 32]), recorded(500));
        let best = |mib: u64| ready.best(mib << 20, false).map(|(key, _)| key.0[0]);
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
        ready.insert(place(1, 1), ActionKey([1; 32]), guess);
        assert_eq!(ready.best(1 << 20, false), None);
        assert!(ready.best(1 << 20, true).is_some());
        assert!(ready.larger_than(1 << 20, 10).is_empty());
    }
}
