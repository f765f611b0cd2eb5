//! Spans of time in Go's notation: `300ms`, `1.5h`, `1h2m3s`.

use std::time::Duration;

/// What time.ParseDuration takes, without the negative ones.
///
/// # Errors
/// What is wrong with the text, and an example of how it could be written.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    if text.starts_with('-') {
        return Err("a time cannot be negative".to_owned());
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return Err("invalid duration (try 90s, 10m or 1h30m)".to_owned());
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
            "" => return Err("missing unit (try 90s, 10m or 1h30m)".to_owned()),
            _ => {
                return Err(format!(
                    "unknown unit {unit:?} (known are h, m, s, ms, us and ns)"
                ));
            }
        };
        let part = scaled(number, scale).ok_or("invalid duration (try 90s, 10m or 1h30m)")?;
        nanos = nanos.checked_add(part).ok_or("value out of range")?;
        rest = after;
    }
    // Go's durations end at 2^63 - 1 nanoseconds, some 292 years.
    let nanos = i64::try_from(nanos).map_err(|_| "value out of range")?;
    Ok(Duration::from_nanos(nanos.unsigned_abs()))
}

/// A decimal number times a scale, rounded down; None if it is not a number or too large.
pub(super) fn scaled(number: &str, scale: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    // More than 18 decimals say nothing in 64 bits.
    if whole.len() + fraction.len() == 0 || !digits(whole) || !digits(fraction) || whole.len() > 20
    {
        return None;
    }
    let fraction = &fraction[..fraction.len().min(18)];
    let parse = |text: &str| {
        if text.is_empty() {
            Some(0)
        } else {
            text.parse::<u128>().ok()
        }
    };
    let part = parse(fraction)?.checked_mul(scale)? / 10u128.pow(fraction.len() as u32);
    parse(whole)?.checked_mul(scale)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_are_read() {
        for (text, ms) in [
            ("0", 0),
            ("90s", 90_000),
            ("1h2m3s", 3_723_000),
            ("1.5h", 5_400_000),
            ("300ms", 300),
            ("+1m.5s", 60_500),
            ("1500us", 1),
        ] {
            assert_eq!(parse_duration(text).unwrap().as_millis(), ms, "{text}");
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
                "5d",
                "unknown unit \"d\" (known are h, m, s, ms, us and ns)",
            ),
            ("-5s", "a time cannot be negative"),
            ("9999999999h", "value out of range"),
        ] {
            assert_eq!(parse_duration(text).unwrap_err(), message, "{text}");
        }
    }
}
