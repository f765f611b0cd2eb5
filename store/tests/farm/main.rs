//! The store of a farm, on a folder and on a real S3 server on loopback.

#![expect(
    clippy::unwrap_used,
    reason = "the configured exception covers test functions, not what they share"
)]

mod actions;
mod addresses;
mod blobs;
mod damage;
mod fsck;
mod full;
mod outage;
mod replica;
mod retention;
mod taking_back;
mod two;
