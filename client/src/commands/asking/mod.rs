//! A farm, and whoever asks it: what the commands have in common that do.

mod ago;
mod known;
mod table;

use std::time::Duration;

use gofarm_proto::v1;
use gofarm_rpc::{Connection, RpcError};
use tokio::runtime::Runtime;
use tokio::time::Instant;
use tonic::Code;

pub(super) use ago::ago;
pub(super) use known::Known;
pub(super) use table::table;

use crate::cli::{FarmSettings, UsageError};

/// How long a farm has for an answer to a person.
const PATIENCE: Duration = Duration::from_secs(10);
/// Builds that are looked through for one whose id begins as it was written: as many as a farm lists.
pub(super) const KNOWN: u32 = 1000;
/// The length of a whole id.
const ID_DIGITS: usize = 32;

/// A farm, and whoever asks it.
pub(super) struct Asking {
    pub(super) connection: Connection,
    pub(super) settings: FarmSettings,
    pub(super) runtime: Runtime,
    /// The answer is for programs.
    pub(super) json: bool,
}

impl Asking {
    /// One question, asked until there is an answer.
    pub(super) fn ask<T, Answer>(
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

    pub(super) fn list(&self, open: bool, limit: u32) -> Result<Vec<v1::Build>, RpcError> {
        let listed = self.ask("list builds", || {
            let mut client = self.connection.builds();
            async move { client.list(v1::ListRequest { limit, open }).await }
        })?;
        Ok(listed.builds)
    }

    /// The build whose id is this or begins so.
    pub(super) fn find(&self, id: &str) -> anyhow::Result<v1::Build> {
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
