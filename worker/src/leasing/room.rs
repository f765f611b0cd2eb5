//! How much more a worker can take on: plain arithmetic, without tasks or clocks.

use super::lease::Capacity;

/// What one task takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Need {
    /// Bytes.
    pub memory: u64,
    /// Nothing else may run beside it.
    pub alone: bool,
}

/// What there is, and what is taken of it.
///
/// Invariants: at most `slots` tasks are in; their memory together is at most `memory` unless there is only one; a task that
/// has to be alone is.
#[derive(Debug)]
pub(crate) struct Room {
    slots: usize,
    memory: u64,
    inside: usize,
    taken: u64,
    alone: bool,
}

impl Room {
    /// An empty room. Has one slot at least.
    pub fn new(slots: usize, memory: u64) -> Room {
        Room {
            slots: slots.max(1),
            memory,
            inside: 0,
            taken: 0,
            alone: false,
        }
    }

    /// Takes room for a task, if there is enough. An empty room takes any task: refusing one that is larger than the whole
    /// room would refuse it for ever.
    pub fn enter(&mut self, need: Need) -> bool {
        let fits = self.inside == 0
            || !need.alone
                && !self.alone
                && self.inside < self.slots
                && self.taken.saturating_add(need.memory) <= self.memory;
        if fits {
            self.inside += 1;
            self.taken = self.taken.saturating_add(need.memory);
            self.alone = need.alone;
        }
        fits
    }

    /// Gives back what [`enter`](Room::enter) took for this need.
    pub fn leave(&mut self, need: Need) {
        self.inside = self.inside.saturating_sub(1);
        self.taken = self.taken.saturating_sub(need.memory);
        self.alone = false;
    }

    /// All slots are taken, by tasks beside which others may run.
    pub fn is_full(&self) -> bool {
        self.is_full_with(0)
    }

    /// As [`is_full`](Room::is_full), once so many more have come in.
    pub fn is_full_with(&self, more: usize) -> bool {
        self.inside + more >= self.slots && !self.alone
    }

    /// Memory that no task has taken, bytes.
    pub fn free_memory(&self) -> u64 {
        self.memory.saturating_sub(self.taken)
    }

    /// What can still come in. `None`: nothing.
    pub fn capacity(&self) -> Option<Capacity> {
        let slots = self.slots - self.inside.min(self.slots);
        let memory = self.free_memory();
        let idle = self.inside == 0;
        (slots > 0 && !self.alone && (idle || memory > 0)).then_some(Capacity {
            slots,
            memory,
            idle,
            ahead: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(memory: u64) -> Need {
        Need {
            memory,
            alone: false,
        }
    }

    const ALONE: Need = Need {
        memory: 1,
        alone: true,
    };

    #[test]
    fn no_more_than_fits() {
        let mut room = Room::new(3, 10);
        assert!(room.enter(need(6)));
        assert!(!room.enter(need(5)), "memory");
        assert!(room.enter(need(2)) && room.enter(need(2)));
        assert_eq!(room.capacity(), None);
        assert!(!room.enter(need(0)), "slots");
        room.leave(need(6));
        assert_eq!(
            room.capacity(),
            Some(Capacity {
                slots: 1,
                memory: 6,
                idle: false,
                ahead: false
            })
        );
    }

    #[test]
    fn one_that_is_too_large_runs_by_itself() {
        let mut room = Room::new(3, 10);
        assert!(room.enter(need(100)));
        assert_eq!(room.capacity(), None);
        assert!(!room.enter(need(0)));
        room.leave(need(100));
        assert_eq!(
            room.capacity(),
            Some(Capacity {
                slots: 3,
                memory: 10,
                idle: true,
                ahead: false
            })
        );
    }

    #[test]
    fn alone_is_alone() {
        let mut room = Room::new(3, 10);
        assert!(room.enter(need(1)));
        assert!(!room.enter(ALONE));
        room.leave(need(1));
        assert!(room.enter(ALONE));
        assert!(!room.enter(need(1)));
        assert_eq!(room.capacity(), None);
        room.leave(ALONE);
        assert!(room.enter(need(1)) && room.enter(need(1)));
    }
}
