//! The Go planner.
//!
//! gofarm decides no compiler flag. A dry run of cmd/go prints every command of a build and every string that it hashes
//! into an identity; this crate turns that text into an action graph whose actions mean the same on every machine, and
//! into templates for Go's own identities.
//!
//! Start reading at [`plan()`]. Only `gocmd` starts processes.

mod action;
mod bind;
mod cc;
mod dryrun;
mod error;
mod files;
#[cfg(test)]
mod fuzz;
mod gocmd;
mod goflags;
#[cfg(test)]
mod golden;
mod host;
mod identity;
mod lookups;
mod machine;
mod node;
mod overlay;
mod plan;
mod request;
mod roots;
mod show;
mod snapshot;
pub mod survey;
mod talking;
mod tool_flags;
mod unsayable;
mod wrapper;

pub use bind::BoundPlan;
pub use dryrun::script::ScriptError;
pub use error::PlanError;
pub use files::{Recorded, SourceFiles};
pub use gocmd::{GoCommand, GoEnv};
pub use identity::{Identities, evaluate, literals};
pub use node::PlannedNode;
pub use plan::{Plan, plan};
pub use request::PlanRequest;
pub use roots::Roots;
pub use snapshot::{Access, Footing, Planned, Planner, Unremembered};
pub use wrapper::Wrapper;
