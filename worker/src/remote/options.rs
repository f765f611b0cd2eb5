//! How a worker of a farm presents itself and works.

use std::time::Duration;

use gofarm_daemon::Spans;
use gofarm_proto::v1;

/// What a worker says of itself.
#[derive(Debug, Clone)]
pub struct RemoteOptions {
    /// Its name: unique in the farm, the same after a restart.
    pub worker: String,
    /// The pool that it works for; empty for the default one.
    pub pool: String,
    /// What it can run: `os/arch`, and `os/arch/ID` for each C toolchain.
    pub platforms: Vec<String>,
    /// What those C toolchains are called.
    pub c_toolchains: Vec<v1::CToolchain>,
    /// Slots in all.
    pub slots: usize,
    /// Memory for tasks in all, bytes.
    pub memory: u64,
    /// How it looks for damage in its cache while it is idle.
    pub scrub: ScrubOptions,
    /// Where spans of what it does go.
    pub spans: Spans,
}

/// When and how fast a worker reads its cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScrubOptions {
    /// Bytes a second; 0 for never.
    pub rate: u64,
    /// A blob that was verified less than so long ago is left alone.
    pub after: Duration,
}

impl Default for ScrubOptions {
    /// 20 GiB a day cost a disk little; 16 MiB a second go through them in twenty minutes.
    fn default() -> Self {
        ScrubOptions {
            rate: 16 << 20,
            after: Duration::from_secs(24 * 60 * 60),
        }
    }
}
