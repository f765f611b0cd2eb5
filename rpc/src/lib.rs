//! How clients and workers talk to a farm.
//!
//! Start reading at [`Connection`]: the addresses of a farm, a token, the trusted certificate, and the generated clients of
//! the services. [`Connection::retry`] makes a call again, within a deadline of its caller, for as long as the
//! farm is only away. [`BlobClient`] brings blobs to the farm and fetches them from there.
//!
//! # What may be relied on
//!
//! - Nothing here waits forever: every call that is made again ends at the deadline that the caller gave, with
//!   the last thing that went wrong.
//! - Of several addresses one is used until a call to it fails because it is not there; then the next.
//! - A peer that is gone without a word is noticed within about ten seconds, by keep-alive pings.
//! - A blob that was fetched is whole and has the bytes of its digest, whatever the network did.

mod address;
mod authorization;
mod blob;
mod clients;
mod connection;
mod error;
mod replicas;
mod retry;
mod status;
mod token;

pub use address::{AddressError, FarmAddress, FarmAddresses};
pub use blob::{
    BlobClient, BlobError, Compression, PieceError, Pieces, Progress, Source, Uploaded,
};
pub use clients::Authorized;
pub use connection::{ConnectOptions, Connection, MESSAGE_LIMIT};
pub use error::RpcError;
pub use replicas::{AddressIndex, Route};
pub use token::{FarmToken, FarmTokenError};
