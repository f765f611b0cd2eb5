//! Builds, for any command: a session plans, runs, hands what was made to whoever wants it, and begins again when something of it
//! was lost meanwhile.
//!
//! It knows no command. What a command wants of a build is its [`Purpose`]: which actions' results are read, and what becomes of
//! them. [`Session::build`] is a build from plan to end; start reading there.

mod kept_work;
mod options;
mod place;
mod planning;
mod purpose;
#[cfg(test)]
mod rule_test;
mod run;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use gofarm_plan::{GoCommand, PlanRequest};
use gofarm_store::{DiskStore, DiskStoreOptions, FileIndex, History};

pub use options::SessionOptions;
pub use purpose::{Delivered, Purpose};

use crate::cli::ExitCode;
use run::Run;

/// Everything that a build works with, opened once.
pub struct Session {
    /// The `go` command in the user's folder.
    pub go: GoCommand,
    options: SessionOptions,
    store: DiskStore,
    index: Arc<FileIndex>,
    history: History,
    /// The client's own part of the cache folder.
    folder: PathBuf,
}

impl Session {
    /// Opens the cache.
    ///
    /// # Errors
    /// Options that contradict each other, before anything is opened; and what the store says.
    pub fn open(go: GoCommand, options: SessionOptions) -> anyhow::Result<Session> {
        place::check(&options)?;
        let store = DiskStore::open(
            &options.cache_dir,
            DiskStoreOptions {
                max_bytes: options.cache_size,
                ..DiskStoreOptions::default()
            },
        )?;
        let folder = options.cache_dir.join("client");
        let now = SystemTime::now();
        Ok(Session {
            index: Arc::new(FileIndex::load(&folder.join("files"), now)?),
            history: History::load(&folder.join("history"), now)?,
            folder,
            store,
            options,
            go,
        })
    }

    /// A folder for remembering what was written to the user's disk.
    pub fn records(&self) -> PathBuf {
        self.folder.join("outputs")
    }

    /// Builds, tells the user, and hands what was made to `purpose`. `started` is when the command began.
    ///
    /// # Errors
    /// What kept the build from coming to an end of its own; failed actions are no error but an exit code.
    pub fn build(
        &self,
        request: &PlanRequest,
        purpose: &mut dyn Purpose,
        started: Instant,
    ) -> anyhow::Result<ExitCode> {
        let kept_work = self.kept_work()?;
        let using = self.store.pin()?;
        let work = self.work(request, purpose, started)?;
        let run = Run::start(self, &work, kept_work, using, self.options.fallback)?;
        let code = run.build(purpose)?;
        // The process is about to end: to give back a hundred thousand small pieces of memory takes milliseconds.
        work.forget();
        std::mem::forget(self.index.clone());
        Ok(code)
    }

    /// Leaves a build to a farm, once that has all that it needs, and prints the build's id on stdout. The farm is the one that
    /// was named and no other place: who ends cannot build.
    ///
    /// # Errors
    /// As [`build`](Session::build), and when no farm was named.
    pub fn leave(
        &self,
        request: &PlanRequest,
        purpose: &mut dyn Purpose,
        started: Instant,
    ) -> anyhow::Result<ExitCode> {
        let kept_work = self.kept_work()?;
        let using = self.store.pin()?;
        let work = self.work(request, purpose, started)?;
        Run::start(self, &work, kept_work, using, false)?.leave()
    }
}
