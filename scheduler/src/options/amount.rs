//! Sizes and spans of time as they are written on the command line.

use std::time::{Duration, SystemTime};

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

const TIMES: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// Bytes, of a whole number and a unit: `512MiB`, `50GiB`.
///
/// # Errors
///
/// How it could be written.
pub(super) fn size(text: &str) -> Result<u64, String> {
    scaled(text, &SIZES).ok_or_else(|| "write a size as 512MiB or 50GiB".to_owned())
}

/// A span of time, of a whole number and a unit: `500ms`, `30s`, `10m`, `30d`.
///
/// # Errors
///
/// How it could be written.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    scaled(text, &TIMES)
        .map(Duration::from_millis)
        .ok_or_else(|| "write a time as 500ms, 30s or 10m".to_owned())
}

/// A moment that has been: so long ago (`2h`), or as it stands in log lines (`2026-11-28T10:00:00Z`, in UTC).
///
/// # Errors
///
/// How it could be written.
pub(super) fn moment(text: &str) -> Result<SystemTime, String> {
    let span = scaled(text, &TIMES).map(Duration::from_millis);
    let now = SystemTime::now();
    let ago = span.and_then(|span| now.checked_sub(span));
    let moment = ago.or_else(|| humantime::parse_rfc3339(text).ok());
    match moment {
        Some(moment) if moment <= now => Ok(moment),
        Some(_) => Err(format!(
            "this time is still to come: it is {} now, in UTC",
            humantime::format_rfc3339_seconds(now)
        )),
        None => Err("write a time as 2h or 3d (ago), or as 2026-11-28T10:00:00Z".to_owned()),
    }
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
    fn a_moment_is_so_long_ago_or_a_date() {
        let ago = moment("3d").unwrap().elapsed().unwrap().as_secs();
        assert!((259_200..259_260).contains(&ago), "{ago}");
        let date = moment("2023-11-14T22:13:20Z").unwrap();
        let since = date.duration_since(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(since.as_secs(), 1_700_000_000);
        assert!(moment("yesterday").is_err());
        let later = SystemTime::now() + Duration::from_secs(60);
        let later = moment(&humantime::format_rfc3339(later).to_string());
        assert!(
            later
                .unwrap_err()
                .starts_with("this time is still to come: ")
        );
    }

    #[test]
    fn everything_else_is_refused() {
        for text in ["", "10", "GiB", "-1GiB", "1.5GiB", "99999999999TiB", "10 s"] {
            assert!(size(text).is_err(), "{text}");
            assert!(time(text).is_err(), "{text}");
        }
    }
}
