//! Systems on which processes cannot be observed.

use crate::{Access, ObserveError, Observed, Request};

/// Says that it cannot.
///
/// # Errors
/// Always.
pub fn observe(
    _request: &Request,
    _each: &mut dyn FnMut(Access),
) -> Result<Observed, ObserveError> {
    Err(ObserveError::Unsupported)
}
