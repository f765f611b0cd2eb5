//! Small Go modules of every sort, each with its surroundings, and random changes of them.
//!
//! A *specimen* is a module, or several, in a folder made for it: sources, repositories, a module proxy, a home, tools of its own that
//! come first on PATH, together with the environment, flags and packages of one build. [`specimens`] lists them by name. A *change* is
//! one thing that a user could do to any part of that ([`Change::random`]). Both are the same for the same seed, on every machine
//! and in every folder: a failure is replayed by its number ([`Case`]). A state can be [saved](Saved) and had again.
//!
//! Specimens need `go`, `git`, a C compiler and `pkg-config` on PATH, and no network: the hosts that some of them reach are a server
//! of this process, and no other host is reached by any.

mod case;
mod change;
mod network;
mod random;
mod run;
mod saved;
mod sorts;
mod specimen;
mod workshop;

pub use case::Case;
pub use change::{Change, Step};
pub use random::Random;
pub use run::on_path;
pub use saved::{Saved, remove};
pub use specimen::{Specimen, Written};

/// All specimens, in a fixed order.
pub fn specimens() -> Vec<Specimen> {
    sorts::all()
}
