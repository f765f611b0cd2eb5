//! Go identities: the hashes and build IDs that cmd/go gives to what it builds, computed from bytes alone.
//!
//! cmd/go names every package by `actionID/contentID` and every binary by
//! `linkActionID/mainActionID/mainContentID/binaryContentID`, each part a SHA-256 cut to 20 characters. gofarm compiles
//! and links with constant placeholders in their place ([`PACKAGE_BUILD_ID`], [`BINARY_BUILD_ID`]), so that no cache key
//! depends on them, and writes the real ones afterwards. After [`stamp_binary`] a binary is byte for byte what
//! `go build -trimpath` makes of the same inputs.
//!
//! Nothing here runs a tool, knows a clock or reads a file that was not named by the caller; but for [`c_toolchain`], which
//! looks at the C compiler of this machine and is given the means to run it.

pub mod archive;
mod binary;
mod binary_error;
pub mod c_toolchain;
mod cgo_flags;
mod codesign;
mod elf;
mod fields;
#[cfg(test)]
mod fuzz;
mod hash;
mod host_id;
mod listing;
mod macho;
mod package;
mod pe;
mod placeholder;
mod quoted;
mod zeroing;

pub use binary::{Stamped, binary_content_id, stamp_binary};
pub use binary_error::BinaryError;
pub use cgo_flags::restore_cgo_flags;
pub use elf::records_its_path;
pub use hash::{action_hash, action_id, file_hash, hash_to_string};
pub use listing::{FolderState, Known, ListedFolder, Listing, nanos, settled};
pub use package::{PackageError, full_archive, package_content_id, stamp_package};
pub use placeholder::{BINARY_BUILD_ID, PACKAGE_BUILD_ID};
pub use quoted::quoted;
