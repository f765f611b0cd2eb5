//! What a C compiler reads of the machine: each change of it shows in what is built, as it shows in what `go build` makes of a
//! program that it has never seen.

mod machine;
mod programs;
mod system_folders;

use machine::{Machine, Shown};
