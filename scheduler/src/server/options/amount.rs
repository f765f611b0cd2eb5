//! Sizes and spans of time as they are written on the command line.

use std::time::Duration;

const SIZES: [(&str, u64); 8] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

const TIMES: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// Bytes, of a whole number and a unit: `512MiB`, `50GiB`.
///
/// # Errors
///
/// How it could be written.
pub(super) fn size(text: &str) -> Result<u64, String> {
    scaled(text, &SIZES).ok_or_else(|| "write a size as 512MiB or 50GiB".to_owned())
}

/// A span of time, of a whole number and a unit: `500ms`, `30s`, `10m`.
///
/// # Errors
///
/// How it could be written.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    scaled(text, &TIMES)
        .map(Duration::from_millis)
        .ok_or_else(|| "write a time as 500ms, 30s or 10m".to_owned())
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let number_end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(number_end);
    let (_, scale) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read() {
        assert_eq!(size("512MiB"), Ok(512 << 20));
        assert_eq!(size("2TB"), Ok(2_000_000_000_000));
        assert_eq!(time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(time("10m"), Ok(Duration::from_secs(600)));
    }

    #[test]
    fn everything_else_is_refused() {
        for text in ["", "10", "GiB", "-1GiB", "1.5GiB", "99999999999TiB", "10 s"] {
            assert!(size(text).is_err(), "{text}");
            assert!(time(text).is_err(), "{text}");
        }
    }
}
