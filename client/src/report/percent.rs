//! How shares of a whole are written for people.

use std::fmt;

/// A share of a whole in percent with one decimal. 100.0% is all of it, never almost all. The whole is not 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percent {
    /// How many.
    pub part: u32,
    /// Of how many.
    pub whole: u32,
}

impl fmt::Display for Percent {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_all_only_when_it_is() {
        assert_eq!(
            Percent {
                part: 561,
                whole: 565
            }
            .to_string(),
            "99.3%"
        );
        assert_eq!(
            Percent {
                part: 99_999,
                whole: 100_000
            }
            .to_string(),
            "99.9%"
        );
        assert_eq!(Percent { part: 5, whole: 5 }.to_string(), "100.0%");
    }
}
