//! What holds between any two steps.

use crate::core::build::State;
use crate::core::flight::{Phase, Waiter};
use crate::core::machine::Core;
use crate::core::pool_of;

impl Core {
    /// Panics where the state contradicts itself.
    pub(in crate::core) fn check_invariants(&self) {
        assert!(self.ready.is_empty() && self.closing.is_empty());
        for (id, build) in &self.builds {
            let mut open = 0;
            for (index, node) in build.nodes.iter().enumerate() {
                let index = index as u32;
                let waiter = Waiter {
                    build: *id,
                    node: index,
                };
                if !node.state.is_ended() {
                    open += 1;
                }
                match node.state {
                    State::Waiting => {
                        assert_eq!(build.count_pending(index), Ok(node.pending), "{waiter:?}");
                        assert_ne!(node.pending, 0, "{waiter:?} could go on");
                    }
                    State::LookingUp => {
                        let question = (node.key, build.info(index).requested);
                        assert!(self.lookups[&question].contains(&waiter));
                    }
                    State::InFlight => {
                        let pool = &build.info(index).pool;
                        let flight = self.flights.of_pool(&node.key, pool).unwrap();
                        assert!(flight.waiters.contains(&waiter));
                        assert_ne!(flight.phase, Phase::Cancelling);
                    }
                    State::Deferred => {
                        let pool = &build.info(index).pool;
                        let flight = self.flights.of_pool(&node.key, pool).unwrap();
                        assert!(flight.deferred.contains(&waiter));
                    }
                    State::Done(_) => assert!(node.result().is_some()),
                    State::Failed => assert!(build.failures.contains_key(&index)),
                    State::Skipped => {
                        assert_eq!(build.node(node.waits_for).state, State::Failed);
                    }
                    State::Cancelled => panic!("{waiter:?} is cancelled in an open build"),
                }
            }
            assert_eq!(*build.makers(), super::makers::by_scan(build));
            assert_eq!(open, build.open);
            assert_ne!(open, 0, "{id} is over but not closed");
        }
        assert_eq!(self.flights.len(), self.flights.iter().count());
        for flight in self.flights.iter() {
            let key = &flight.task.key;
            let same = self.flights.of_key(key).iter();
            let pool = pool_of(&flight.task.pool);
            assert_eq!(
                same.filter(|other| pool_of(&other.task.pool) == pool)
                    .count(),
                1
            );
            let cancelling = flight.phase == Phase::Cancelling;
            assert_eq!(flight.waiters.is_empty(), cancelling);
            for waiter in &flight.waiters {
                let node = self.builds[&waiter.build].node(waiter.node);
                assert_eq!((node.state, node.key), (State::InFlight, *key));
            }
            for waiter in &flight.deferred {
                let node = self.builds[&waiter.build].node(waiter.node);
                assert_eq!((node.state, node.key), (State::Deferred, *key));
            }
        }
        for ((key, _), waiters) in &self.lookups {
            for waiter in waiters {
                let node = self.builds[&waiter.build].node(waiter.node);
                assert_eq!((node.state, node.key), (State::LookingUp, *key));
            }
        }
    }
}
