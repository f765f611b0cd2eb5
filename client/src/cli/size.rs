//! Sizes of storage: `512MiB`, `50GiB`, `1.5TB`.

use super::duration::scaled;

const UNITS: [(&str, u128); 9] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// Bytes. The unit is needed: a number alone is more often a mistake than a count of bytes. Its case does not matter.
///
/// # Errors
/// What is wrong with the text, and an example of how it could be written.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let number_end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(number_end);
    let unit = unit.trim_start();
    if !number.is_empty() && unit.is_empty() {
        return Err("missing unit (try 512MiB or 50GiB)".to_owned());
    }
    let (_, scale) = UNITS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit))
        .ok_or("invalid size (try 512MiB or 50GiB)")?;
    let bytes = scaled(number, *scale).ok_or("invalid size (try 512MiB or 50GiB)")?;
    u64::try_from(bytes).map_err(|_| "value out of range".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [
            ("512MiB", 512 << 20),
            ("50GiB", 50 << 30),
            ("1.5KiB", 1536),
            ("20 gib", 20 << 30),
            ("2TB", 2_000_000_000_000),
            ("0B", 0),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused_in_words() {
        for (text, message) in [
            ("", "invalid size (try 512MiB or 50GiB)"),
            ("512", "missing unit (try 512MiB or 50GiB)"),
            ("GiB", "invalid size (try 512MiB or 50GiB)"),
            ("5GX", "invalid size (try 512MiB or 50GiB)"),
            ("-5GiB", "invalid size (try 512MiB or 50GiB)"),
            ("99999999999TiB", "value out of range"),
        ] {
            assert_eq!(parse_size(text).unwrap_err(), message, "{text}");
        }
    }
}
