//! What tests of several crates start: the programs of this workspace as they are now, and real servers, each with a folder of
//! its own, gone when their handle is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot have its server fails"
)]

mod collector;
mod keeper;
mod port;
mod programs;
mod redis_server;
mod s3_server;

pub use collector::{Collector, TakenSpan};
pub use port::free_port;
pub use programs::built;
pub use redis_server::RedisServer;
pub use s3_server::{BUCKET, S3Server, overwrite};
