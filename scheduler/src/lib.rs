//! The scheduler as a process: gRPC services for clients and workers, HTTP for people and probes.
//!
//! Any number of replicas run behind one address, over one Redis and one store. Each build is owned by one of them; every
//! one of them serves every client, worker and blob.

pub mod access;
pub mod archive;
pub mod blobs;
pub mod builds;
pub mod collecting;
mod custody;
pub mod engine;
pub mod farm;
pub mod http;
pub mod just_recorded;
pub mod leases;
pub mod listen;
pub mod maintenance;
pub mod metrics;
pub mod options;
pub mod redis;
pub mod registry;
mod retry;
pub mod roster;
