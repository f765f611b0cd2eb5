//! Moments as they are written on the command line.

use std::time::SystemTime;

use gofarm_amount::parse_time_span;

/// A moment that has been: so long ago (`2h`), or as it stands in log lines (`2026-11-28T10:00:00Z`, in UTC).
///
/// # Errors
///
/// How it could be written.
pub(super) fn moment(text: &str) -> Result<SystemTime, String> {
    let now = SystemTime::now();
    let ago = parse_time_span(text)
        .ok()
        .and_then(|span| now.checked_sub(span));
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

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
}
