//! One planned action, before the files that it reads have digests.

use gofarm_proto::v1;

use crate::identity::IdentityTemplate;

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
    /// What people call the C toolchain of the action's platform; empty without one.
    #[prost(string, tag = "8")]
    pub c_toolchain_name: String,
}
