//! Names that come from outside and become part of keys, messages and tables.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest name of a pool, bytes.
const POOL_BYTES: usize = 128;

/// The longest name of a user, bytes.
const USER_BYTES: usize = 256;

/// The name of a pool of workers: 1 to 128 bytes, no control characters and none of `:{}`. The first `:` of a part of a pool
/// (`default:linux/amd64`) ends its pool's name, and braces are what Redis finds the shard of a key by.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct PoolName(Arc<str>);

/// The name of a user, by whom the time of a farm is shared: at most 256 bytes, no control characters. May be empty.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct UserName(Arc<str>);

/// A text that is not a name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{what} {text:?} is no name: {problem}; give it another name")]
pub struct ParseNameError {
    /// What was to be named.
    pub what: &'static str,
    /// Its beginning.
    pub text: String,
    /// What is wrong with it.
    pub problem: String,
}

impl ParseNameError {
    fn new(what: &'static str, text: &str, problem: String) -> ParseNameError {
        let text = text.chars().take(64).collect();
        ParseNameError {
            what,
            text,
            problem,
        }
    }
}

fn check(what: &'static str, text: &str, most: usize) -> Result<(), ParseNameError> {
    let error = |problem| Err(ParseNameError::new(what, text, problem));
    if text.len() > most {
        return error(format!("it has {} bytes, and may have {most}", text.len()));
    }
    match text.chars().find(|char| char.is_control()) {
        Some(char) => error(format!("it has the control character {char:?}")),
        None => Ok(()),
    }
}

impl FromStr for PoolName {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WHAT: &str = "pool";
        check(WHAT, text, POOL_BYTES)?;
        let error = |problem| Err(ParseNameError::new(WHAT, text, problem));
        if text.is_empty() {
            return error("it is empty".to_owned());
        }
        match text.chars().find(|char| matches!(char, ':' | '{' | '}')) {
            Some(char) => error(format!("it has {char:?}")),
            None => Ok(PoolName(text.into())),
        }
    }
}

impl FromStr for UserName {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        check("user", text, USER_BYTES)?;
        Ok(UserName(text.into()))
    }
}

impl fmt::Display for PoolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for PoolName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<PoolName> for Arc<str> {
    fn from(name: PoolName) -> Arc<str> {
        name.0
    }
}

impl From<UserName> for Arc<str> {
    fn from(name: UserName) -> Arc<str> {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_of_bounded_length_and_break_no_key() {
        for good in [
            "default",
            "p28020864",
            "team a/b",
            "größe",
            &"x".repeat(128),
        ] {
            assert_eq!(good.parse::<PoolName>().unwrap().as_ref(), good);
        }
        for bad in ["", "a:b", "{a", "a}", "a\nb", "a\0", &"x".repeat(129)] {
            assert!(bad.parse::<PoolName>().is_err(), "{bad:?}");
        }
        for good in ["", "ann@example.org", "repo:team/app:ref:refs/heads/main"] {
            assert!(good.parse::<UserName>().is_ok(), "{good:?}");
        }
        for bad in ["a\x1b[2J", &"x".repeat(257)] {
            assert!(bad.parse::<UserName>().is_err(), "{bad:?}");
        }
        let error = "x".repeat(3 << 20).parse::<UserName>().unwrap_err();
        assert!(error.to_string().len() < 200, "{error}");
    }
}
