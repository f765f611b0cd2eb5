//! `gofarm-scheduler` as a process: its options, its ports, who may call, and how it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "these are tests")]

mod access;
mod ending;
mod options;
mod ports;
mod process;
mod redis_tls;
mod seeing;
mod tls;
