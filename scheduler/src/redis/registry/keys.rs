//! Names of keys. All have one hash tag, so that they are on one shard of a cluster.

use gofarm_engine::core::BuildId;

pub(super) struct Keys {
    tag: String,
}

impl Keys {
    pub fn new(namespace: &str) -> Keys {
        Keys {
            tag: format!("{{{namespace}:registry}}"),
        }
    }

    /// Hash: owner, epoch, last, record, and cancelled and finished once they are so.
    pub fn build(&self, build: BuildId) -> String {
        format!("{}{build}", self.build_prefix())
    }

    pub fn build_prefix(&self) -> String {
        format!("{}:build:", self.tag)
    }

    /// Stream: the event of cursor N has the id N-0.
    pub fn events(&self, build: BuildId) -> String {
        format!("{}{build}", self.events_prefix())
    }

    pub fn events_prefix(&self) -> String {
        format!("{}:events:", self.tag)
    }

    /// List: what watchers provide, until the owner hears it.
    pub fn provided(&self, build: BuildId) -> String {
        format!("{}:provided:{build}", self.tag)
    }

    /// Sorted set: builds that are not over, by the end of their ownership, milliseconds of the server's clock.
    pub fn open(&self) -> String {
        format!("{}:open", self.tag)
    }

    /// Sorted set: builds that are over, by when that was.
    pub fn over(&self) -> String {
        format!("{}:over", self.tag)
    }

    /// Sorted set: known builds by the time of their submission.
    pub fn builds(&self) -> String {
        format!("{}:builds", self.tag)
    }

    /// Hash: duration and peak by kind and package.
    pub fn history(&self, pool: &str) -> String {
        format!("{}:history:{pool}", self.tag)
    }

    /// Hash: workers by name.
    pub fn workers(&self) -> String {
        format!("{}:workers", self.tag)
    }

    /// Sorted set: when each worker was seen.
    pub fn workers_seen(&self) -> String {
        format!("{}:workers:seen", self.tag)
    }

    /// Hash: owner, epoch, until and done of something that one replica does at a time.
    pub fn duty(&self, name: &str) -> String {
        format!("{}:duty:{name}", self.tag)
    }

    /// Channel: ids of builds with new events, and `control`.
    pub fn bell(&self) -> String {
        format!("{}:bell", self.tag)
    }
}
