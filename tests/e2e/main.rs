//! The `gofarm` command as its users run it: real source trees, the real go command, real processes.
//!
//! The go command is the one on PATH, and a C compiler, git and pkg-config are expected beside it. Two caches in
//! cargo's `target/tmp/e2e` are kept between runs, so that only the first run compiles the standard library.
//!
//! - `INSTA_UPDATE=always cargo test --workspace --test e2e` writes the snapshots anew; look at the difference before committing.
//! - `GOFARM_TEST_FULL=1` verifies GOROOT's larger commands as well (`cmd/go`, `cmd/vet`, `cmd/asm`); some ten minutes.
//! - `GOFARM_TEST_GO=/a/bin/go:/b/bin/go` verifies the example and a command of GOROOT with these go commands, too.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "outside of test functions too, a test fails where it stands"
)]

mod c_toolchain;
mod code_errors;
mod compilers;
mod damage;
mod ending;
mod farm;
mod goroot;
mod harness;
mod identity;
mod kept_plans;
mod libraries;
mod like_go;
mod linking;
mod long_output;
mod machine_errors;
mod odd_places;
mod programs;
mod refused_by_name;
mod reports;
mod reuse;
mod toolexec;
mod usage;
mod work_folder;
