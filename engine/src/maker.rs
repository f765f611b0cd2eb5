//! Who made a result, as a person reads it.

use std::fmt;

use gofarm_proto::v1;

/// The worker and its lease.
#[derive(Debug, Clone, Copy)]
pub struct Maker<'a>(
    /// None: nobody has noted it.
    pub Option<&'a v1::Provenance>,
);

impl fmt::Display for Maker<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(made) = self.0 else {
            return f.write_str("a worker that was not noted");
        };
        f.write_str(&made.worker)?;
        match &made.lease {
            Some(lease) => write!(f, " with lease {}", LeaseNumber(lease)),
            None => Ok(()),
        }
    }
}

/// A lease in one word.
#[derive(Debug, Clone, Copy)]
pub struct LeaseNumber<'a>(
    /// Its token.
    pub &'a v1::FencingToken,
);

impl fmt::Display for LeaseNumber<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0.incarnation, self.0.counter)
    }
}
