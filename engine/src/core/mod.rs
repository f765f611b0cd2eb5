//! The scheduler core: a pure state machine over builds, keys and tasks.
//!
//! [`Core::step`] takes one [`Event`] and the time, and says what is to be done as a list of [`Effect`]s. For
//! each node whose produced inputs have digests it forms the action key, asks the action cache, else joins the
//! running task of that key, else enqueues one.
//!
//! Invariants, kept here and checked by the tests over random histories:
//!
//! - At most one task per key is queued or running, whoever wants it (*single flight*).
//! - Every build ends once every lookup and task is answered: attempts and re-runs are bounded.
//! - A build says nothing after its `Finished`.
//! - Nothing here knows a clock, a file, a socket, a random number or an async runtime, and equal histories
//!   give equal effects.
//!
//! Start reading at `machine.rs`; `dispatch.rs` is the way of a node to its result, `completion.rs` what
//! happens when it comes, `recovery.rs` what happens when blobs are lost.

mod build;
mod closing;
mod completion;
mod dispatch;
mod effect;
mod estimate;
mod event;
mod failure;
mod flight;
mod graph;
mod id;
mod machine;
mod makers;
mod name;
mod news;
mod prior;
mod recovery;
mod result;
mod spec;
mod stragglers;
mod task;

#[cfg(test)]
mod tests;

pub use effect::{BuildEvent, BuildResult, BuildSummary, Counts, Effect, NodeEvent, Resolution};
pub use event::Event;
pub use failure::{Failure, FailureClass};
pub use gofarm_proto::Estimate;
pub use id::{BuildId, Millis, NodeId, ParseBuildIdError, Priority, RunId};
pub use machine::{Core, CoreOptions, Ignored};
pub use name::{ParseNameError, PoolName, UserName};
pub use news::{FencingToken, News, Owner};
pub use prior::Prior;
pub use result::{ActionResult, Log, MalformedResult, OutputFile};
pub use spec::{BuildOptions, BuildSpec, Edge, GraphError, NodeSpec, platform_pool, pool_of};
pub use stragglers::{Straggler, StragglerOptions, Stragglers};
pub use task::{Attempt, Near, Outcome, Share, Task};
