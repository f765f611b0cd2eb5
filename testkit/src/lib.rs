//! What tests of several crates start: real servers, each with a folder of its own, gone when their handle is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot have its server fails"
)]

mod redis_server;

pub use redis_server::RedisServer;
