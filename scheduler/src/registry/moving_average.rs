//! How a new measurement changes what is recorded, the same in memory and in `measured.lua`.

use gofarm_engine::core::Estimate;

/// The weight of a new duration against all before it: three runs make most of a change.
pub(crate) const DURATION_WEIGHT: f64 = 0.4;

/// What is left of the distance to a smaller peak after one run. Memory is forgotten slowly: an estimate that is too
/// low gets a process killed, one that is too high only makes it wait.
pub(crate) const MEMORY_DECAY: f64 = 0.9;

/// Takes a measurement in.
pub(crate) fn merge(before: Option<Estimate>, measured: Estimate) -> Estimate {
    let Some(before) = before else {
        return measured;
    };
    let (duration, memory) = (measured.duration_ms as f64, measured.peak_memory as f64);
    let old = (before.duration_ms as f64, before.peak_memory as f64);
    Estimate {
        duration_ms: (old.0 + (duration - old.0) * DURATION_WEIGHT).round() as u64,
        peak_memory: memory.max(memory + (old.1 - memory) * MEMORY_DECAY).round() as u64,
    }
}
