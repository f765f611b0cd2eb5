//! What is wrong with a text.

/// Why a text is no amount. As a text: the end of a message that names the text and the setting, with examples of what could be
/// written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAmount {
    /// No number with a unit.
    #[error("invalid {what} (try {examples})")]
    Malformed {
        /// `size` or `duration`.
        what: &'static str,
        /// What could be written.
        examples: &'static str,
    },
    /// A number alone, which is more often a mistake than a count of bytes or seconds.
    #[error("missing unit (try {examples})")]
    NoUnit {
        /// What could be written.
        examples: &'static str,
    },
    /// A number with a unit that there is not.
    #[error("unknown unit {unit:?} (known are {known})")]
    UnknownUnit {
        /// The unit, as it is written.
        unit: String,
        /// Those that there are.
        known: &'static str,
    },
    /// A span of time below zero.
    #[error("a time cannot be negative")]
    Negative,
    /// More than the type holds.
    #[error("value out of range")]
    OutOfRange,
}
