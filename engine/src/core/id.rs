//! Names and numbers: nodes, builds, runs, times, priorities.

use std::fmt;
use std::str::FromStr;

/// Index of a node in its build's graph. Edges point only to smaller indices.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct NodeId(pub u32);

impl NodeId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// A submitted graph. Chosen by the caller, unique among the builds that it has open; a random UUID does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BuildId(pub u128);

/// 32 hex digits.
impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A text that is not a build id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a build id: {0:?} (expected 32 hexadecimal digits)")]
pub struct ParseBuildIdError(pub String);

impl FromStr for BuildId {
    type Err = ParseBuildIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let id = digits
            .then(|| u128::from_str_radix(text, 16).ok())
            .flatten();
        id.map(BuildId)
            .ok_or_else(|| ParseBuildIdError(text.to_owned()))
    }
}

impl fmt::Debug for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One time that a task was put into the queue. Never used twice by one core, so that what is said about an
/// earlier attempt can never be taken for news about a later one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct RunId(pub u64);

/// A point in time, in milliseconds since a moment that the owner of the clock chose.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Millis(pub u64);

impl Millis {
    /// Milliseconds from `earlier` to this; 0 if the clock went backwards.
    pub fn since(self, earlier: Millis) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Which of two tasks goes first: the greater one. Opaque: what goes into it may change, its order is all that
/// a queue may rely on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Priority(u64);

impl Priority {
    /// By the longest path of work that waits for this task, itself included, in milliseconds.
    pub fn of_remaining_path(ms: u64) -> Priority {
        Priority(ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_id_is_32_hexadecimal_digits() {
        let id = BuildId(0xabc);
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in ["", "abc", &"g".repeat(32), &format!("+{}", "1".repeat(31))] {
            assert!(text.parse::<BuildId>().is_err(), "{text:?}");
        }
    }
}
