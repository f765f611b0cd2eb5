//! What is written to the user's disk: programs and archives, stamped with Go's identities and put where the user
//! wants them.

mod identities;
mod programs;
mod record;
mod targets;

pub use programs::{Programs, write_all};
pub use targets::{check_target, programs_in, targets};
