//! Who made a result, as a person reads it.

use std::fmt;

use gofarm_proto::v1;

use crate::core::FencingToken;

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

/// What is noted beside a result that was accepted at a time, milliseconds since the epoch. `worker` is who held the lease by the
/// books of the queue, `replica` who accepted it.
pub fn provenance(
    worker: &str,
    lease: Option<FencingToken>,
    replica: &str,
    accepted_ms: u64,
) -> v1::Provenance {
    v1::Provenance {
        worker: worker.to_owned(),
        lease: lease.map(
            |FencingToken {
                 incarnation,
                 counter,
             }| v1::FencingToken {
                incarnation,
                counter,
            },
        ),
        accepted_ms,
        replica: replica.to_owned(),
    }
}
