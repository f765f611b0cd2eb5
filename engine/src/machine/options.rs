//! How an engine works.

use std::sync::Arc;
use std::time::Duration;

use crate::core::{CoreOptions, Owner, StragglerOptions};

/// How an engine works.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// What queue and registry know this process by: unique, another one after each start of it.
    pub owner: Owner,
    /// Bounds on trying again.
    pub core: CoreOptions,
    /// How long a build waits for lost sources while none of them comes.
    pub wanted_patience: Duration,
    /// How it is written to a registry; none: there is no registry, and a build is this process's alone.
    pub books: Option<Books>,
    /// What is worth a thought when other machines run the tasks; none: this process does.
    pub fleet: Option<Fleet>,
    /// Who makes results, when that is this process and this engine records them. None: whoever hears of the end of a lease records its
    /// result, and this engine does when it is not there a while later.
    pub maker: Option<Arc<str>>,
}

/// How builds are written to a registry.
#[derive(Clone, Copy, Debug)]
pub struct Books {
    /// Bytes of what running actions print that a build's log keeps; beyond that the oldest go. The whole output of an
    /// action is in its result.
    pub live_output: usize,
    /// How long the events of a build that is over stay in the registry.
    pub archive_after: Duration,
    /// Fewer bytes of events stay there until the build is forgotten: a blob for each would be no gain.
    pub archive_from: usize,
    /// How often what a build rests on is used anew. The store removes nothing that was used within several times this.
    pub keep_every: Duration,
}

/// What is worth a thought when other machines run the tasks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fleet {
    /// Which running tasks get a second worker, if one has nothing else to do.
    pub stragglers: StragglerOptions,
}

impl EngineOptions {
    /// An engine of one process, which makes results itself, under this name.
    pub fn embedded(owner: impl Into<Owner>, maker: impl Into<Arc<str>>) -> EngineOptions {
        EngineOptions {
            owner: owner.into(),
            core: CoreOptions::default(),
            wanted_patience: Duration::from_secs(30),
            books: None,
            fleet: None,
            maker: Some(maker.into()),
        }
    }
}
