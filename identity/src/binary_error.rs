//! Why a binary is not read or stamped.

/// Why a binary could not be read or stamped.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BinaryError {
    /// The file begins as ELF or Mach-O does, but its headers are broken.
    #[error("reading the linked binary: {0}")]
    Malformed(&'static str),
    /// An ID that cannot stand in a binary.
    #[error("cannot stamp the binary with the build ID {prefix:?}: {problem}")]
    BuildId {
        /// The first three parts that were given.
        prefix: String,
        /// What is wrong with them.
        problem: &'static str,
    },
    /// The binary is signed by another program than the Go linker, over content that holds the placeholder.
    #[error(
        "cannot stamp the binary: its Mach-O code signature was not made by the Go linker and covers the placeholder build \
         ID; link it with the real -buildid instead"
    )]
    ForeignSignature,
    /// The C linker made a build ID of its own, of all that it linked.
    #[error(
        "cannot stamp the binary: its GNU build ID is neither made of Go's nor named by a flag, so the C linker made it of what \
         it linked, in which Go's ID was a placeholder; when CC is several words, the first of them not the compiler (env, \
         ccache), set it to the compiler alone"
    )]
    ForeignBuildId,
    /// The binary has a PE checksum of a kind that is not known here.
    #[error(
        "cannot stamp the binary: its PE checksum does not fit its length, so it cannot be brought up to date; link it with \
         the real -buildid instead"
    )]
    ForeignChecksum,
}
