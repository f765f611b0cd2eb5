//! What is written to the user's disk: programs and archives, stamped with Go's identities and put where the user wants them, and
//! with `-work` the folders of actions.

mod identities;
mod programs;
mod record;
mod targets;

pub mod kept_work;

pub use programs::write_all;
pub use targets::{check_target, programs_in, targets};
