//! What is going to happen, by simulated time.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Events of the future in the order of their times; those of one time in the order in which they were put down.
#[derive(Debug)]
pub struct Agenda<E> {
    heap: BinaryHeap<Entry<E>>,
    sequence: u64,
    now: u64,
}

#[derive(Debug)]
struct Entry<E> {
    time: u64,
    sequence: u64,
    event: E,
}

impl<E> Agenda<E> {
    /// Empty, at time 0.
    pub fn new() -> Agenda<E> {
        Agenda {
            heap: BinaryHeap::new(),
            sequence: 0,
            now: 0,
        }
    }

    /// The time of the last event taken. The unit is the user's.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Puts an event down for a time; one in the past happens now.
    pub fn at(&mut self, time: u64, event: E) {
        self.sequence += 1;
        self.heap.push(Entry {
            time: time.max(self.now),
            sequence: self.sequence,
            event,
        });
    }

    /// Puts an event down for so long from now.
    pub fn after(&mut self, delay: u64, event: E) {
        self.at(self.now.saturating_add(delay), event);
    }

    /// Moves the time on to the next event and takes it.
    pub fn take(&mut self) -> Option<E> {
        let entry = self.heap.pop()?;
        self.now = entry.time;
        Some(entry.event)
    }
}

impl<E> Default for Agenda<E> {
    fn default() -> Self {
        Agenda::new()
    }
}

impl<E> Entry<E> {
    fn place(&self) -> (u64, u64) {
        (self.time, self.sequence)
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The heap's greatest is the earliest.
impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.place().cmp(&self.place())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_then_in_order() {
        let mut agenda = Agenda::new();
        for (time, event) in [(5, 'a'), (3, 'b'), (5, 'c'), (3, 'd')] {
            agenda.at(time, event);
        }
        let mut taken = String::new();
        while let Some(event) = agenda.take() {
            taken.push(event);
        }
        assert_eq!((taken.as_str(), agenda.now()), ("bdac", 5));
    }
}
