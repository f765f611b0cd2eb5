//! Finds kept plans that are stale.
//!
//! A kept plan rests on facts. Two things keep the list of facts honest:
//!
//! - the [`audit`] runs the planner under observation over every specimen and holds each path that it, or a program that it
//!   started, asked the kernel for against the facts;
//! - the [`mutation`] test builds a specimen until its plan is kept, makes one random change, builds again, and compares with a fresh
//!   `go build`.
//!
//! `cargo run -p gofarm-freshness -- help` says how to run either by hand.

pub mod audit;
pub mod mutation;
