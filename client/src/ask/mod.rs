//! Commands that ask a farm: `logs`, `builds`, `status`, `attach`, `cancel`, `workers`.

mod answer;
mod attach;
mod blob;
mod build;
mod logs;
mod table;
mod workers;

use std::io::ErrorKind;
use std::time::Duration;

use anyhow::Context;
use gofarm_proto::v1;
use gofarm_rpc::{Connection, RpcError};
use tokio::runtime::Runtime;
use tokio::time::Instant;
use tonic::Code;

use crate::cli::{Environment, ExitCode, FarmCommand, FarmRequest, FarmSettings, UsageError};
use crate::farm;
use crate::folder::chosen_folder;

/// How long a farm has for an answer to a person.
const PATIENCE: Duration = Duration::from_secs(10);
/// Builds that are looked through for one whose id begins as it was written: as many as a farm lists.
const KNOWN: u32 = 1000;
/// The length of a whole id.
const ID_DIGITS: usize = 32;

/// A farm, and whoever asks it.
struct Asking {
    connection: Connection,
    settings: FarmSettings,
    runtime: Runtime,
    json: bool,
}

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

impl Asking {
    /// One question, asked until there is an answer.
    fn ask<T, Answer>(
        &self,
        what: &'static str,
        call: impl FnMut() -> Answer,
    ) -> Result<T, RpcError>
    where
        Answer: Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    {
        let deadline = Instant::now() + PATIENCE;
        let answer = self
            .runtime
            .block_on(self.connection.retry(what, deadline, call))?;
        Ok(answer.into_inner())
    }

    fn list(&self, open: bool, limit: u32) -> Result<Vec<v1::Build>, RpcError> {
        let listed = self.ask("list builds", || {
            let mut client = self.connection.builds();
            async move { client.list(v1::ListRequest { limit, open }).await }
        })?;
        Ok(listed.builds)
    }

    /// The build whose id is this or begins so.
    fn find(&self, id: &str) -> anyhow::Result<v1::Build> {
        if id.len() < ID_DIGITS {
            let mut found = self.list(false, KNOWN)?;
            found.retain(|build| build.build.starts_with(id));
            return match found.len() {
                0 => Err(self.unknown(id).into()),
                1 => Ok(found.swap_remove(0)),
                _ => Err(ambiguous(id, &found).into()),
            };
        }
        let got = self.ask("find a build", || {
            let (mut client, build) = (self.connection.builds(), id.to_owned());
            async move { client.get(v1::GetRequest { build }).await }
        });
        match got {
            Err(error) if error.code() == Some(Code::NotFound) => Err(self.unknown(id).into()),
            other => Ok(other?),
        }
    }

    fn unknown(&self, id: &str) -> UsageError {
        UsageError::new(format!(
            "gofarm: the farm {} knows no build {id}; 'gofarm builds' lists those that it knows",
            self.connection.addresses()
        ))
    }
}

fn ambiguous(id: &str, found: &[v1::Build]) -> UsageError {
    let mut message = format!("gofarm: {} builds begin with {id}:", found.len());
    for build in found.iter().take(10) {
        let title = build.options.as_ref().map_or("", |options| &options.title);
        message.push_str(&format!("\n\t{}  {title}", build.build));
    }
    UsageError::new(message)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
