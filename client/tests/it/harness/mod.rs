//! What the tests stand on: folders of their own, caches that they share, real processes.

mod facts;
mod invocation;
mod processes;
mod shown;
mod site;
mod summary;

pub use facts::{examples, facts};
pub use invocation::{Finished, Invocation, Running};
pub use processes::{Process, mentioning};
pub use shown::shown;
pub use site::Site;
pub use summary::Summary;
