//! From flags, GOFLAGS and environment to options.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gofarm_amount::{parse_size, parse_time_span};

use super::environment::Environment;
use super::error::{Usage, UsageError};
use super::flag::Setting;
use super::goflags;
use super::options::SubmitOptions;
use super::said::Said;
use super::scan::{Given, Scanned};

/// What the store may hold when nothing is said.
pub const DEFAULT_CACHE_SIZE: u64 = 20 << 30;

/// A command line of `gofarm submit` or `gofarm verify`, read but not yet joined with GOFLAGS and the environment: cmd/go
/// can only be asked for GOFLAGS in the folder that `-C` names.
#[derive(Debug)]
pub struct SubmitRequest {
    pub(super) chdir: Option<PathBuf>,
    pub(super) given: Vec<Given>,
    pub(super) packages: Vec<String>,
    pub(super) verify: bool,
}

impl SubmitRequest {
    pub(super) fn new(
        chdir: Option<PathBuf>,
        scanned: Scanned,
        verify: bool,
        usage: Usage,
    ) -> Result<SubmitRequest, UsageError> {
        if let Some(flag) = scanned.words.iter().find(|word| word.starts_with('-')) {
            let message = format!(
                "malformed import path {flag:?}: leading dash (flags stand before the packages)"
            );
            return Err(UsageError::new(message).usage(usage));
        }
        Ok(SubmitRequest {
            chdir,
            given: scanned.given,
            packages: scanned.words,
            verify,
        })
    }

    /// -C: the folder to work in.
    pub fn chdir(&self) -> Option<&Path> {
        self.chdir.as_deref()
    }

    /// Joins the command line with GOFLAGS (the text that `go env GOFLAGS` gives) and the environment.
    ///
    /// # Errors
    /// A value that cannot be understood, or something that is not supported, wherever it was said.
    pub fn options(
        &self,
        goflags: &str,
        environment: &Environment,
    ) -> Result<SubmitOptions, UsageError> {
        let goflags = goflags::read(goflags)?;
        let said = Said::new(&goflags, &self.given, environment);
        said.refuse_unsupported()?;
        let mut output = said
            .go(Setting::Output)
            .filter(|given| !given.value.is_empty());
        if self.verify {
            said.refuse_for_verify(output)?;
            output = None;
        }
        let output = output.map(|given| given.value.clone());
        let all = said.is_on(Setting::All, false)?;
        let detach = said.is_on(Setting::Detach, false)?;
        if detach {
            said.refuse_for_detach(self.verify)?;
        }
        Ok(SubmitOptions {
            chdir: self.chdir.clone(),
            toolexec: said.toolexec(),
            plan_flags: said.plan_flags(&self.given, output.is_none()),
            output,
            packages: self.packages.clone(),
            trimpath: said.is_on(Setting::Trimpath, true)?,
            all,
            dry_run: said.is_on(Setting::DryRun, false)?,
            verbose: said.is_on(Setting::Verbose, false)?,
            print_commands: said.is_on(Setting::PrintCommands, false)?,
            keep_work: said.is_on(Setting::KeepWork, false)?,
            workers: said.workers()?,
            progress: said.progress()?,
            summary_json: said
                .text(Setting::SummaryJson)?
                .map(|(path, _)| path.into()),
            events: said.text(Setting::Events)?.map(|(path, _)| path.into()),
            timeout: said
                .parsed(Setting::Timeout, parse_time_span)?
                .filter(|time| *time > Duration::ZERO),
            keep_going: said.is_on(Setting::KeepGoing, true)?,
            no_cache: said.is_on(Setting::NoCache, false)? || all,
            sandbox: said.sandbox()?,
            cache_dir: said.cache_dir()?,
            cache_size: said
                .parsed(Setting::CacheSize, parse_size)?
                .unwrap_or(DEFAULT_CACHE_SIZE),
            server: said.server()?,
            detach,
            fallback: said.is_on(Setting::Fallback, true)?,
            embedded_only: said
                .on_command_line(Setting::Workers)
                .or_else(|| said.on_command_line(Setting::Sandbox)),
            parallel: said.on_command_line(Setting::Parallel),
        })
    }
}
