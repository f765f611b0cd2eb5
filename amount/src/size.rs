//! Sizes of storage: `512MiB`, `50GiB`, `1.5TB`.

use std::fmt;

use crate::decimal::scaled;
use crate::error::NoAmount;

const UNITS: [(&str, u128); 13] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("PiB", 1 << 50),
    ("EiB", 1 << 60),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("PB", 1_000_000_000_000_000),
    ("EB", 1_000_000_000_000_000_000),
];

const EXAMPLES: &str = "512MiB or 50GiB";

/// Reads bytes: a decimal number and a unit, with spaces between them or without. The unit is needed; its case does not
/// matter. Parts of a byte are left out.
///
/// # Errors
///
/// What is wrong with the text.
pub fn parse_size(text: &str) -> Result<u64, NoAmount> {
    let malformed = NoAmount::Malformed {
        what: "size",
        examples: EXAMPLES,
    };
    let number_end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(number_end);
    let unit = unit.trim_start();
    if !number.is_empty() && unit.is_empty() {
        return Err(NoAmount::NoUnit { examples: EXAMPLES });
    }
    let unit = UNITS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit));
    let bytes = unit.and_then(|(_, scale)| scaled(number, *scale));
    u64::try_from(bytes.ok_or(malformed)?).map_err(|_| NoAmount::OutOfRange)
}

/// Shows a number of bytes in powers of ten: `0 B`, `812 B`, `12.1 MB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
        if self.0 < 1000 {
            return write!(f, "{} B", self.0);
        }
        // In tenths of the unit, so that 999,960 bytes are 1.0 MB and not 1000.0 kB.
        let mut tenths = (u128::from(self.0) + 50) / 100;
        let mut unit = 0;
        while tenths >= 10_000 && unit + 1 < UNITS.len() {
            tenths = (tenths + 500) / 1000;
            unit += 1;
        }
        write!(f, "{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
    }
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
            ("1.5 kib", 1536),
            ("20 gib", 20 << 30),
            ("2TB", 2_000_000_000_000),
            ("0B", 0),
            ("00000000000000000000000000000000000000000001B", 1),
            ("18446744073709551615B", u64::MAX),
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
            ("10 s", "invalid size (try 512MiB or 50GiB)"),
            ("-5GiB", "invalid size (try 512MiB or 50GiB)"),
            ("1.5.5GiB", "invalid size (try 512MiB or 50GiB)"),
            ("99999999999TiB", "value out of range"),
            ("18446744073709551616B", "value out of range"),
            (
                "9999999999999999999999999999999999999999999B",
                "value out of range",
            ),
        ] {
            assert_eq!(parse_size(text).unwrap_err().to_string(), message, "{text}");
        }
    }

    #[test]
    fn sizes_never_show_a_thousand() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (999_949, "999.9 kB"),
            (999_960, "1.0 MB"),
            (12_112_345, "12.1 MB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(Size(bytes).to_string(), text);
        }
    }
}
