//! Spans of time in Go's notation, and days: `300ms`, `1.5h`, `1h2m3s`, `30d`.

use std::fmt;
use std::time::Duration;

use crate::decimal::scaled;
use crate::error::NoAmount;

const EXAMPLES: &str = "90s, 10m or 1h30m";

/// Reads what time.ParseDuration takes, without the negative ones, and days of 24 hours, which Go does not have.
///
/// # Errors
///
/// What is wrong with the text.
pub fn parse_time_span(text: &str) -> Result<Duration, NoAmount> {
    let malformed = NoAmount::Malformed {
        what: "duration",
        examples: EXAMPLES,
    };
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    if text.starts_with('-') {
        return Err(NoAmount::Negative);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return Err(malformed);
    }
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let number_end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(number_end);
        let unit_end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let scale: u128 = match unit {
            "ns" => 1,
            // Both code points that are used for micro.
            "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "d" => 86_400_000_000_000,
            "" => return Err(NoAmount::NoUnit { examples: EXAMPLES }),
            _ => {
                return Err(NoAmount::UnknownUnit {
                    unit: unit.to_owned(),
                    known: "d, h, m, s, ms, us and ns",
                });
            }
        };
        let part = scaled(number, scale).ok_or_else(|| malformed.clone())?;
        nanos = nanos.saturating_add(part);
        rest = after;
    }
    // Go's durations end at 2^63 - 1 nanoseconds, some 292 years.
    let nanos = i64::try_from(nanos).map_err(|_| NoAmount::OutOfRange)?;
    Ok(Duration::from_nanos(nanos.unsigned_abs()))
}

/// Shows a span of time, rounded down: `0.31s`, `12.4s`, `3m05s`, `2h07m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeSpan(pub Duration);

impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_millis();
        let seconds = ms / 1000;
        match seconds {
            0..10 => write!(f, "{}.{:02}s", seconds, ms % 1000 / 10),
            10..60 => write!(f, "{}.{}s", seconds, ms % 1000 / 100),
            60..3600 => write!(f, "{}m{:02}s", seconds / 60, seconds % 60),
            _ => write!(f, "{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_and_days_are_read() {
        for (text, ms) in [
            ("0", 0),
            ("90s", 90_000),
            ("1h2m", 3_720_000),
            ("1h2m3s", 3_723_000),
            ("1.5h", 5_400_000),
            ("1.5m", 90_000),
            ("300ms", 300),
            ("+1m.5s", 60_500),
            ("1500us", 1),
            ("30d", 2_592_000_000),
            ("1d12h", 129_600_000),
        ] {
            assert_eq!(parse_time_span(text).unwrap().as_millis(), ms, "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused_in_words() {
        for (text, message) in [
            ("", "invalid duration (try 90s, 10m or 1h30m)"),
            ("5", "missing unit (try 90s, 10m or 1h30m)"),
            ("1h30", "missing unit (try 90s, 10m or 1h30m)"),
            ("s", "invalid duration (try 90s, 10m or 1h30m)"),
            ("1.2.3s", "invalid duration (try 90s, 10m or 1h30m)"),
            (
                "5w",
                "unknown unit \"w\" (known are d, h, m, s, ms, us and ns)",
            ),
            (
                "10 s",
                "unknown unit \" s\" (known are d, h, m, s, ms, us and ns)",
            ),
            ("-5s", "a time cannot be negative"),
            ("9999999999h", "value out of range"),
        ] {
            let refused = parse_time_span(text).unwrap_err().to_string();
            assert_eq!(refused, message, "{text}");
        }
    }

    #[test]
    fn time_spans_keep_what_matters() {
        for (ms, text) in [
            (0, "0.00s"),
            (312, "0.31s"),
            (2_319, "2.31s"),
            (12_450, "12.4s"),
            (59_999, "59.9s"),
            (185_000, "3m05s"),
            (7_620_000, "2h07m"),
        ] {
            assert_eq!(TimeSpan(Duration::from_millis(ms)).to_string(), text);
        }
    }
}
