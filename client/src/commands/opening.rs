//! From the command line of a command that builds to its session.

use gofarm_plan::{GoCommand, PlanRequest};
use gofarm_worker::SandboxMode;

use crate::cli::{
    self, Environment, FarmSettings, SandboxChoice, SubmitOptions, SubmitRequest, UsageError,
};
use crate::console::Showing;
use crate::folder::chosen_folder;
use crate::session::{Session, SessionOptions};

/// A command that builds, and what it works with.
pub struct Opened {
    /// What the user wants.
    pub options: SubmitOptions,
    /// The same, for the planner.
    pub request: PlanRequest,
    /// What builds.
    pub session: Session,
}

/// Reads the options in the user's folder and opens the cache.
pub fn open(request: &SubmitRequest, environment: &Environment) -> anyhow::Result<Opened> {
    let cwd = chosen_folder(request.chdir())?;
    let go = GoCommand::new(&cwd);
    let options = request.options(&go.flags()?, environment)?.rooted_at(&cwd);
    cli::require_declared(&go, options.toolexec.as_deref(), environment)?;
    let compilers = cli::declared_compilers(&go, environment)?;
    let farm = options.server.settings(&go.cwd, environment)?;
    if options.detach && farm.is_none() {
        return Err(UsageError::new(
            "gofarm: --detach needs a farm that the build can be left to; name one with --server",
        )
        .into());
    }
    Ok(Opened {
        request: PlanRequest {
            flags: options.plan_flags.clone(),
            output: options.output.clone(),
            packages: options.packages.clone(),
            trimpath: options.trimpath,
            compilers,
        },
        session: Session::open(go, session_options(&options, farm))?,
        options,
    })
}

fn session_options(options: &SubmitOptions, farm: Option<FarmSettings>) -> SessionOptions {
    let token = farm.as_ref().map(|farm| &farm.token_file);
    let token = token.unwrap_or(&options.server.token_file);
    SessionOptions {
        private: token.iter().cloned().collect(),
        cache_dir: options.cache_dir.clone(),
        cache_size: options.cache_size,
        farm,
        fallback: options.fallback,
        embedded_only: options.embedded_only.clone(),
        parallel: options.parallel.clone(),
        workers: options.workers,
        sandbox: match options.sandbox {
            SandboxChoice::Auto => SandboxMode::Auto,
            SandboxChoice::Required => SandboxMode::Required,
            SandboxChoice::Off => SandboxMode::Off,
        },
        keep_work: options.keep_work,
        keep_going: options.keep_going,
        no_cache: options.no_cache,
        timeout: options.timeout,
        showing: Showing {
            progress: options.progress,
            events: options.events.clone(),
            summary_json: options.summary_json.clone(),
            verbose: options.verbose,
            print_commands: options.print_commands,
            ..Showing::default()
        },
    }
}
