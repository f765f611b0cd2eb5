//! How a session builds.

use std::path::PathBuf;
use std::time::Duration;

use gofarm_worker::SandboxMode;

use crate::cli::FarmSettings;
use crate::console::Showing;

/// How a session builds, whatever it builds for. Paths are absolute.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    /// The store's folder.
    pub cache_dir: PathBuf,
    /// Bytes that the store may hold.
    pub cache_size: u64,
    /// The farm that was named. None: this process builds.
    pub farm: Option<FarmSettings>,
    /// This process builds when the farm cannot be reached.
    pub fallback: bool,
    /// A flag that only this process can heed, as the user has written it. With a farm it is refused.
    pub embedded_only: Option<String>,
    /// Likewise, but `go build` has it, so the user is told that a farm does not heed it, and nothing is refused.
    pub parallel: Option<String>,
    /// Actions that this process runs at once; at least 1. None: by the machine.
    pub workers: Option<usize>,
    /// Whether the actions that this process runs see only what they declare.
    pub sandbox: SandboxMode,
    /// Files that these see in no case, wherever they lie: the token of a farm.
    pub private: Vec<PathBuf>,
    /// The scratch folders of actions are kept, and where is told.
    pub keep_work: bool,
    /// What does not depend on a failure goes on.
    pub keep_going: bool,
    /// Everything is planned and executed again; results are kept all the same.
    pub no_cache: bool,
    /// For the whole command. None: as long as it takes.
    pub timeout: Option<Duration>,
    /// What is shown of it, and where.
    pub showing: Showing,
}
