//! How times, sizes and shares are written for people.

use std::fmt;
use std::time::Duration;

/// A span of time: `0.31s`, `12.4s`, `3m05s`, `2h07m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

impl fmt::Display for Span {
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

/// A number of bytes in powers of ten: `0 B`, `812 B`, `12.1 MB`.
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

/// A share of a whole in percent with one decimal. 100.0% is all of it, never almost all. The whole is not 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// How many.
    pub part: u32,
    /// Of how many.
    pub whole: u32,
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (part, whole) = (u64::from(self.part), u64::from(self.whole.max(1)));
        let rounded = (part * 2000 + whole) / (2 * whole);
        let tenths = if part < whole {
            rounded.min(999)
        } else {
            rounded
        };
        write!(f, "{}.{}%", tenths / 10, tenths % 10)
    }
}

/// A number and its noun: `1 program`, `3 programs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count<'a>(pub usize, pub &'a str);

impl fmt::Display for Count<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0 == 1 { "" } else { "s" };
        write!(f, "{} {}{plural}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_keep_what_matters() {
        for (ms, text) in [
            (0, "0.00s"),
            (312, "0.31s"),
            (2_319, "2.31s"),
            (12_450, "12.4s"),
            (59_999, "59.9s"),
            (185_000, "3m05s"),
            (7_620_000, "2h07m"),
        ] {
            assert_eq!(Span(Duration::from_millis(ms)).to_string(), text);
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

    #[test]
    fn a_share_is_all_only_when_it_is() {
        assert_eq!(
            Share {
                part: 561,
                whole: 565
            }
            .to_string(),
            "99.3%"
        );
        assert_eq!(
            Share {
                part: 99_999,
                whole: 100_000
            }
            .to_string(),
            "99.9%"
        );
        assert_eq!(Share { part: 5, whole: 5 }.to_string(), "100.0%");
    }
}
