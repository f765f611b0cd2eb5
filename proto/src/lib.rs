//! The `gofarm.v1` messages, generated from `gofarm/v1/*.proto` (which are their specification), and the
//! small value types that stand for them in code: [`Digest`], [`ActionKey`] and [`Estimate`].

mod digest;
mod estimate;
mod key;
mod kind;
mod log;
mod virtual_path;

#[allow(missing_docs, clippy::all, clippy::unwrap_used, clippy::expect_used)]
pub mod v1 {
    //! Generated code.
    include!(concat!(env!("OUT_DIR"), "/gofarm.v1.rs"));
}

/// The specification of the services as an encoded `FileDescriptorSet`, for server reflection.
#[cfg(feature = "grpc")]
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/gofarm.v1.bin"));

pub use digest::{Digest, ParseDigestError};
pub use estimate::{Estimate, MovingAverage};
pub use key::ActionKey;
pub use log::{INLINE_LOG, LONGEST_LOG};
pub use prost::{DecodeError, Message};
pub use virtual_path::{EXEC_ROOT, IN_DIR, WORK_DIR};
