//! What replicas share on Redis: the lease queue and the registry.
//!
//! Both say where it is by one [address](redis_server), send their commands over a `link`, hear each other's rings over a
//! `doorbell`, and put their scripts together with the same words.

mod address;
mod doorbell;
mod link;
mod queue;
mod registry;
mod script;

pub use address::{RedisServerError, redis_server};
pub use queue::RedisQueue;
pub use registry::RedisRegistry;
