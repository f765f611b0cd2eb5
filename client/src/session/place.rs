//! Where a build is done: on the farm that was named, or in this process.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use gofarm_plan::Plan;
use gofarm_proto::EXEC_ROOT;
use gofarm_rpc::RpcError;
use gofarm_worker::{KeptWork, Launcher};
use tokio::runtime::Runtime;

use super::{Session, SessionOptions};
use crate::cli::{self, UsageError};
use crate::console::Console;
use crate::farm::{BuildWatch, Embedded, EmbeddedOptions, Farm, Remote};

/// How long a farm has for a sign of life before the build is done here, and where nothing else can be done.
const REACH: Duration = Duration::from_secs(3);
const INSIST: Duration = Duration::from_secs(10);

/// Refuses what the place where the build is to be done cannot heed.
pub fn check(options: &SessionOptions) -> Result<(), UsageError> {
    let Some(farm) = &options.farm else {
        return Ok(());
    };
    if let Some(flag) = &options.embedded_only {
        return Err(UsageError::new(format!(
            "gofarm: {flag} is for embedded builds only, and {} would build: its workers have their own --slots and \
             --sandbox; leave it out, or build here with --server=off",
            farm.server
        )));
    }
    if options.keep_work {
        return Err(UsageError::new(format!(
            "gofarm: -work is for embedded builds only, and {} would build: the folders of actions are on its workers; leave \
             it out, or build here with --server=off",
            farm.server
        )));
    }
    Ok(())
}

impl Session {
    /// The farm that builds: the one that was named, if it can be reached.
    pub(super) fn farm(
        &self,
        runtime: &Runtime,
        console: &mut Console<'_>,
        (plan, kept_work): (&Plan, Option<KeptWork>),
        fallback: bool,
    ) -> anyhow::Result<Farm> {
        let Some(settings) = &self.options.farm else {
            return Ok(Farm::Embedded(self.embedded(plan, kept_work)?));
        };
        if let Some(flag) = &self.options.parallel {
            console.warn(&format!(
                "{flag} counts only for embedded builds: on a farm, the workers say how much runs at once"
            ));
        }
        let patience = if fallback { REACH } else { INSIST };
        let reached = runtime.block_on(async {
            let remote = Remote::new(settings)?;
            remote.reach(patience).await?;
            Ok::<Remote, RpcError>(remote)
        });
        match reached {
            Ok(remote) => Ok(Farm::Remote(Box::new(remote))),
            Err(error) if error.is_transient() && fallback => {
                console.warn(&format!("{error}; this build goes on embedded"));
                Ok(Farm::Embedded(self.embedded(plan, kept_work)?))
            }
            Err(error) => {
                console.abandon();
                Err(error.into())
            }
        }
    }

    fn embedded(&self, plan: &Plan, kept_work: Option<KeptWork>) -> anyhow::Result<Embedded> {
        // Stays this program when its file is replaced while it runs.
        let own = Path::new("/proc/self/exe");
        let program = if own.exists() {
            own.to_path_buf()
        } else {
            std::env::current_exe().context("finding this program's own file")?
        };
        Ok(Embedded::new(
            self.store.clone(),
            EmbeddedOptions {
                workers: self.options.workers,
                sandbox: self.options.sandbox,
                compilers: plan.compilers().into_iter().collect(),
                private: self.private(plan),
                launcher: Launcher {
                    program,
                    args: vec![cli::SANDBOX_COMMAND.into()],
                },
                kept_work,
            },
        ))
    }

    /// What no action is to see but as its inputs.
    fn private(&self, plan: &Plan) -> Vec<PathBuf> {
        let module = plan.roots.to_real(&format!("{EXEC_ROOT}/main"));
        let named = module.into_iter().chain([self.go.cwd.clone()]);
        named.chain(self.options.private.iter().cloned()).collect()
    }
}
