//! How long the log of an action may be: see `ActionResult.log` and `ActionResult.log_blob`.

/// A log of at most so many bytes stands in the result; a longer one is a blob. What a compiler says of a package is a few
/// KiB at most, and schedulers hold the results of all their open builds.
pub const INLINE_LOG: usize = 16 << 10;

/// A log is never longer than this, bytes: what a worker keeps of the output of tools, 16 MiB, and room for its own lines.
pub const LONGEST_LOG: u64 = 17 << 20;
