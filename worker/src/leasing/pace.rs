//! How often tasks are taken ahead: plain counting, without tasks or clocks.

/// So many slots become free at most before tasks are taken ahead again.
const LONGEST: u32 = 64;

/// While tasks are short, one that was taken ahead begins soon. While they are long it goes back, and taking it was only
/// work for the farm: after each that went back, twice as many slots have to become free before the next is taken.
#[derive(Debug)]
pub(crate) struct Pace {
    /// How many had to become free the last time; 1 at first.
    step: u32,
    /// How many still have to.
    left: u32,
}

impl Pace {
    /// Of a worker that has taken nothing ahead yet.
    pub fn new() -> Pace {
        Pace { step: 1, left: 0 }
    }

    /// Whether tasks may be taken ahead now.
    pub fn may_take(&self) -> bool {
        self.left == 0
    }

    /// A task that was taken ahead goes back. Several that do before tasks are taken ahead again count as one.
    pub fn gave_back(&mut self) {
        if self.left == 0 {
            self.step = (self.step * 2).min(LONGEST);
            self.left = self.step;
        }
    }

    /// A task that was taken ahead has found a slot in time.
    pub fn began(&mut self) {
        *self = Pace::new();
    }

    /// A slot has become free.
    pub fn slot_freed(&mut self) {
        self.left = self.left.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slots that become free before tasks are taken ahead again.
    fn slots_until_next(pace: &mut Pace) -> u32 {
        let mut freed = 0;
        while !pace.may_take() {
            pace.slot_freed();
            freed += 1;
        }
        freed
    }

    #[test]
    fn what_goes_back_is_tried_less_and_less_often() {
        let mut pace = Pace::new();
        assert!(pace.may_take());
        for expected in [2, 4, 8, 16, 32, 64, 64] {
            pace.gave_back();
            pace.gave_back();
            assert_eq!(slots_until_next(&mut pace), expected);
        }
    }

    #[test]
    fn one_that_began_in_time_begins_anew() {
        let mut pace = Pace::new();
        for _ in 0..3 {
            pace.gave_back();
            slots_until_next(&mut pace);
        }
        pace.gave_back();
        pace.began();
        assert!(pace.may_take());
        pace.gave_back();
        assert_eq!(slots_until_next(&mut pace), 2);
    }
}
