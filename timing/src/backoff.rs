//! Pauses between tries of one thing.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::random::random;

/// How long to wait before the next try: about twice as long each time, up to a longest pause, and never twice the same, so that
/// all the workers of a farm, or all its schedulers, do not come back in one moment.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

/// What suits calls of another process: from 50 ms to 5 s.
impl Default for Backoff {
    fn default() -> Backoff {
        Backoff::between(Duration::from_millis(50), Duration::from_secs(5))
    }
}

impl Backoff {
    /// Begins with pauses of at most `first`; none is longer than `longest`.
    pub const fn between(first: Duration, longest: Duration) -> Backoff {
        Backoff {
            first,
            longest,
            next: first,
        }
    }

    /// Something went well: the next pause is a short one.
    pub fn reset(&mut self) {
        self.next = self.first;
    }

    /// The next pause: from half of what its turn is up to all of it, as `random`, from 0 up to 1, has it. With 1 the pauses are
    /// exact, for whoever is alone with what it waits for.
    pub fn pause(&mut self, random: f64) -> Duration {
        let turn = self.next.min(self.longest);
        self.next = turn.saturating_mul(2).min(self.longest);
        turn.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
    }

    /// Waits before the next try.
    pub async fn wait(&mut self) {
        sleep(self.pause(random())).await;
    }

    /// Waits before the next try. False, at once, when there is no time left for one.
    pub async fn wait_before(&mut self, deadline: Instant) -> bool {
        let pause = self.pause(random());
        if Instant::now() + pause >= deadline {
            return false;
        }
        sleep(pause).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew() {
        let mut backoff = Backoff::between(50 * MS, 300 * MS);
        let mut next = || backoff.pause(1.0);
        assert_eq!(
            [next(), next(), next(), next(), next()],
            [50 * MS, 100 * MS, 200 * MS, 300 * MS, 300 * MS]
        );
        backoff.reset();
        assert_eq!(backoff.pause(0.0), 25 * MS);
        assert_eq!(backoff.pause(0.5), 75 * MS);
    }

    proptest! {
        #[test]
        fn no_pause_is_out_of_bounds(first in 0u64..5_000, longest in 0u64..50_000, drawn in prop::collection::vec(any::<f64>(), 1..80)) {
            let (first, longest) = (Duration::from_millis(first), Duration::from_millis(longest));
            let mut backoff = Backoff::between(first, longest);
            let mut turn = first.min(longest);
            for random in drawn {
                let pause = backoff.pause(random);
                prop_assert!(pause >= turn / 2 && pause <= turn, "{pause:?} of {turn:?}");
                turn = (turn * 2).min(longest);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_what_there_is_no_time_for() {
        let begin = Instant::now();
        let mut backoff = Backoff::default();
        let mut tries = 1;
        while backoff.wait_before(begin + 1000 * MS).await {
            tries += 1;
        }
        assert!(begin.elapsed() < 1000 * MS);
        // 50, 100, 200 and 400 ms, or half of each.
        assert!((5..=6).contains(&tries), "{tries}");
    }
}
