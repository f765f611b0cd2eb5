//! What replicas share on Redis: the lease queue and the registry.

mod queue;
mod registry;

pub use queue::RedisQueue;
pub use registry::RedisRegistry;
