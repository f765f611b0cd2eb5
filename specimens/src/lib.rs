//! Small Go modules of every sort, each with its surroundings, and random changes of them.
//!
//! A *specimen* is a module, or several, in a folder made for it: sources, repositories, a module proxy, a home, tools of its own that
//! come first on PATH, together with the environment, flags and packages of one build. [`specimens`] lists them by name. A *change* is
//! one thing that a user could do to any part of that ([`Change::random`]). Both are the same for the same seed, on every machine
//! and in every folder: a failure is replayed by its number ([`Case`]).
//!
//! Specimens need `go`, `git`, a C compiler and `pkg-config` on PATH, and no network.

mod case;
mod change;
mod random;
mod run;
mod sorts;
mod specimen;
mod workshop;

pub use case::Case;
pub use change::{Change, Step};
pub use random::Random;
pub use specimen::{Specimen, Written};

/// All specimens, in a fixed order.
pub fn specimens() -> Vec<Specimen> {
    sorts::all()
}
