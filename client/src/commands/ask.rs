//! The commands that ask a farm: `logs`, `builds`, `status`, `attach`, `cancel`, `workers`.

use std::io::ErrorKind;

use anyhow::Context;

use super::asking::Asking;
use crate::cli::{Environment, ExitCode, FarmCommand, FarmRequest, UsageError};
use crate::farm;
use crate::folder::chosen_folder;

/// Asks what the request says and prints the answer on stdout.
pub fn command(request: &FarmRequest, environment: &Environment) -> anyhow::Result<ExitCode> {
    let cwd = chosen_folder(request.chdir.as_deref())?;
    let options = request.options(environment)?;
    let server = options.server.rooted_at(&cwd);
    let settings = server.settings(&cwd, environment)?.ok_or_else(|| {
        UsageError::new(
            "gofarm: no farm is named: give --server, set GOFARM_SERVER, or write server = \"http://HOST:8980\" into gofarm.toml",
        )
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let connection = {
        let _entered = runtime.enter();
        farm::connect(&settings)?
    };
    let asking = Asking {
        connection,
        settings,
        runtime,
        json: options.json,
    };
    let answered = match &request.command {
        FarmCommand::Builds { open } => asking.builds(*open),
        FarmCommand::Status { build } => asking.status(build),
        FarmCommand::Cancel { build } => asking.cancel(build),
        FarmCommand::Workers => asking.workers(),
        FarmCommand::Logs {
            build,
            action,
            follow,
        } => asking.logs(build, action.as_deref(), *follow),
        FarmCommand::Attach { build } => {
            let options = request.attach_options(environment)?;
            asking.attach(build, &options, &cwd)
        }
    };
    asking.runtime.shutdown_background();
    match answered {
        // Whoever read it has read enough.
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::Success),
        answered => answered,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
