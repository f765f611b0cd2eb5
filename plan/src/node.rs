//! One planned action, before the files that it reads have digests.

use gofarm_proto::v1;
use gofarm_proto::v1::{IdentityTemplate, RecordedFlags};

/// A node of a plan.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PlannedNode {
    /// Inputs that are files have no source yet: they stand for the file at their path.
    #[prost(message, required, tag = "1")]
    pub action: v1::Action,
    /// One for each produced input, in order.
    #[prost(message, repeated, tag = "2")]
    pub edges: Vec<v1::Edge>,
    /// How cmd/go identifies what this makes. Absent for profiles.
    #[prost(message, optional, tag = "3")]
    pub identity: Option<IdentityTemplate>,
    /// The package's import path, without a variant.
    #[prost(string, tag = "4")]
    pub import_path: String,
    /// The package's folder on this machine; empty for programs.
    #[prost(string, tag = "5")]
    pub folder: String,
    /// For programs: the node of package main.
    #[prost(uint32, optional, tag = "6")]
    pub main: Option<u32>,
    /// Where cmd/go would move the program or archive, when it was told.
    #[prost(string, optional, tag = "7")]
    pub target: Option<String>,
    /// For packages: the linker flags that cgo records, where the action gives it others than cmd/go would.
    #[prost(message, optional, tag = "8")]
    pub recorded_flags: Option<RecordedFlags>,
    /// For programs: a library for C, which cmd/go installs without the permission to execute, and beside it the header
    /// that is an output of package main, if that exports anything.
    #[prost(bool, tag = "9")]
    pub c_library: bool,
    /// What people call the C toolchain of the action's platform; empty without one.
    #[prost(string, tag = "10")]
    pub c_toolchain_name: String,
}
