//! The time of the day, by which the lines of logs are stamped.

use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A moment of some day.
#[derive(Debug, Clone, Copy)]
pub struct TimeOfDay(Duration);

impl TimeOfDay {
    /// How long after another moment this one is, if it is; they are less than half a day apart.
    pub fn after(self, earlier: TimeOfDay) -> Option<Duration> {
        let forward = (self.0 + DAY - earlier.0).as_nanos() % DAY.as_nanos();
        let forward = Duration::from_nanos(u64::try_from(forward).unwrap());
        (forward < DAY / 2).then_some(forward)
    }
}

/// Now.
pub fn clock() -> TimeOfDay {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let nanos = now.unwrap().as_nanos() % DAY.as_nanos();
    TimeOfDay(Duration::from_nanos(u64::try_from(nanos).unwrap()))
}

/// When a line of a log was written: it begins like `2031-05-17T09:30:12.345678Z`.
#[track_caller]
pub fn time_of(line: &str) -> TimeOfDay {
    let stamp = line.split_whitespace().next().unwrap_or_default();
    let time = stamp.split_once('T').map_or("", |(_, time)| time);
    let parts: Vec<f64> = time
        .trim_end_matches('Z')
        .split(':')
        .map(|part| part.parse().unwrap_or(f64::NAN))
        .collect();
    let [hours, minutes, seconds] = parts[..] else {
        panic!("no time: {line}");
    };
    TimeOfDay(Duration::from_secs_f64(
        (hours * 60.0 + minutes) * 60.0 + seconds,
    ))
}
