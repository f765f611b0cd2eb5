//! Blobs over real connections, between this crate's client and the scheduler's service.

#![expect(
    clippy::unwrap_used,
    reason = "the configured exception covers test functions, not what they share"
)]

mod broken;
mod connecting;
mod damage;
mod farm;
mod pieces;
mod proxy;
mod service;
mod several;
mod transfers;
