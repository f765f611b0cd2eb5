//! The rules of this repository, as tests: each is a convention that would fade if it stood on paper alone.
//!
//! They read the sources, the pages and what cargo says of the workspace. None of them builds or runs a part of gofarm.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "these are tests")]

mod crates;
mod dependencies;
mod licence;
mod pages;
mod places;
mod repository;
mod sources;
