//! What an action is expected to need, and how that follows what is measured.

/// What executions of a (package, kind) have needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// Wall time, milliseconds.
    pub duration_ms: u64,
    /// Largest resident set of one process, bytes.
    pub peak_memory: u64,
}

/// An [`Estimate`] that follows measurements: an exponential moving average of the durations; of the peaks of memory a larger
/// one counts at once, a smaller one slowly. Fractions are kept, for whoever can.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MovingAverage {
    /// See [`Estimate::duration_ms`].
    pub duration_ms: f64,
    /// See [`Estimate::peak_memory`].
    pub peak_memory: f64,
}

impl MovingAverage {
    /// The weight of a new duration against all before it: three runs make most of a change.
    pub const DURATION_WEIGHT: f64 = 0.4;

    /// What is left of the distance to a smaller peak after one run. Memory is forgotten slowly: an estimate that is too low
    /// gets a process killed, one that is too high only makes it wait.
    pub const MEMORY_DECAY: f64 = 0.9;

    /// Takes a measurement in. The first one is the estimate.
    pub fn after(before: Option<MovingAverage>, measured: Estimate) -> MovingAverage {
        let (duration, memory) = (measured.duration_ms as f64, measured.peak_memory as f64);
        let Some(before) = before else {
            return measured.into();
        };
        let slowly = memory + (before.peak_memory - memory) * Self::MEMORY_DECAY;
        MovingAverage {
            duration_ms: before.duration_ms
                + (duration - before.duration_ms) * Self::DURATION_WEIGHT,
            peak_memory: memory.max(slowly),
        }
    }

    /// Whole milliseconds and bytes.
    pub fn estimate(&self) -> Estimate {
        Estimate {
            duration_ms: self.duration_ms.round() as u64,
            peak_memory: self.peak_memory.round() as u64,
        }
    }
}

impl From<Estimate> for MovingAverage {
    fn from(estimate: Estimate) -> MovingAverage {
        MovingAverage {
            duration_ms: estimate.duration_ms as f64,
            peak_memory: estimate.peak_memory as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(duration_ms: u64, peak_memory: u64) -> Estimate {
        Estimate {
            duration_ms,
            peak_memory,
        }
    }

    #[test]
    fn durations_follow_and_memory_falls_slowly() {
        let first = MovingAverage::after(None, measured(1000, 1000));
        assert_eq!(first.estimate(), measured(1000, 1000));
        let second = MovingAverage::after(Some(first), measured(2000, 500));
        assert_eq!(second.estimate(), measured(1400, 950));
        // A larger peak counts at once.
        let third = MovingAverage::after(Some(second), measured(1400, 3000));
        assert_eq!(third.estimate(), measured(1400, 3000));
    }
}
