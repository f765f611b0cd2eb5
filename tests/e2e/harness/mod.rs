//! What the tests stand on: folders of their own, caches that they share, real processes.

mod both;
mod clock;
mod damage;
mod facts;
mod farm;
mod front;
mod hosts;
mod invocation;
mod patience;
mod processes;
mod proxy;
mod service;
mod shown;
mod site;
mod summary;

pub use both::built_by_both;
pub use clock::{clock, time_of};
pub use damage::{blobs, flip, flip_copy, no_findings, set_aside};
pub use facts::{examples, facts};
pub use farm::{
    FARM, Farm, LEASE_TTL, Size, is_fetched_elsewhere, is_what_go_builds, same, summary,
};
pub use front::Front;
pub use hosts::Hosts;
pub use invocation::{Finished, Invocation, Running};
pub use patience::{PATIENCE, eventually};
pub use processes::{Process, connected_to, mentioning, peak_memory};
pub use proxy::publish;
pub use service::{Recipe, Service};
pub use shown::shown;
pub use site::{SLOW_PRINTS, Site};
pub use summary::Summary;
