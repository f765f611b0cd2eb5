//! `gofarm attach`: a build of the farm, as its own client would have shown it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::anyhow;
use gofarm_store::{DiskStore, DiskStoreOptions};
use tokio_util::sync::CancellationToken;

use super::asking::Asking;
use crate::cli::{AttachOptions, ExitCode, UsageError};
use crate::console::{Console, Planning, Showing};
use crate::deliver;
use crate::ending::exit_code;
use crate::farm::{Fetched, OnCancel, Remote, Stopped, Story, Submission};
use crate::outline::Outline;
use crate::report::Bytes;
use crate::say;
use crate::signals::watch_signals;

impl Asking {
    pub(super) fn attach(
        &self,
        id: &str,
        options: &AttachOptions,
        cwd: &Path,
    ) -> anyhow::Result<ExitCode> {
        let started = Instant::now();
        let known = self.known(id)?;
        let outline = match &known.outline {
            Ok(outline) => outline,
            Err(error) => {
                return Err(anyhow!(
                    "cannot attach to build {}: {error:#}. 'gofarm logs' prints what its actions have printed",
                    known.build.build
                ));
            }
        };
        let targets = targets(outline, options.output.as_deref(), cwd)?;
        for (node, target) in &targets {
            deliver::check_target(outline, *node, target)?;
        }
        let cache = cwd.join(&options.cache_dir);
        let store = DiskStore::open(
            &cache,
            DiskStoreOptions {
                max_bytes: options.cache_size,
                ..DiskStoreOptions::default()
            },
        )?;
        let session = store.pin()?;
        let submission = Submission::of_known(&known.build);
        let build = u128::from_str_radix(&known.build.build, 16)?;
        let showing = Showing {
            progress: options.progress,
            events: options.events.as_ref().map(|path| cwd.join(path)),
            summary_json: options.summary_json.as_ref().map(|path| cwd.join(path)),
            verbose: options.verbose,
            summary_on_stdout: self.json,
            wall_of_build: true,
            ..Showing::default()
        };
        let mut console = Console::new(
            showing,
            outline,
            &known.graph,
            gofarm_engine::core::BuildId(build),
            Planning::default(),
            started,
        )?;
        let cancel = CancellationToken::new();
        let remote = {
            let _entered = self.runtime.enter();
            Remote::new(&self.settings)?
        };
        let reason = self
            .runtime
            .block_on(async { watch_signals(cancel.clone(), None) });
        let worker_watch = console.worker_watch();
        let mut story = Story::new(&known.graph, &mut console, worker_watch, None);
        let watched = self.runtime.block_on(remote.watch(
            &submission,
            &mut story,
            options.events.is_some(),
            &cancel,
            OnCancel::Leave,
        ));
        let finished = match watched {
            Ok(summary) => story.finished(summary, 0),
            Err(error) => {
                console.abandon();
                return left(error, &known.build.build);
            }
        };
        let fetched = Fetched::new(
            &remote,
            &store,
            self.runtime.handle().clone(),
            cancel.clone(),
        );
        let records = cache.join("client").join("outputs");
        let written = deliver::write_all(outline, &finished, &fetched, &targets, &records);
        let written = match written {
            Ok((written, _)) => written,
            Err(error) => {
                console.abandon();
                return left(error, &known.build.build);
            }
        };
        let bytes = Bytes {
            uploaded: 0,
            downloaded: fetched.bytes(),
        };
        let stopped = reason.get();
        let code = stopped.unwrap_or_else(|| exit_code(&finished.summary, console.failures()));
        console.finish(&finished.summary, stopped, bytes, written.len())?;
        drop(session);
        if bytes.downloaded > 0 {
            store.evict()?;
        }
        Ok(code)
    }
}

/// Whoever attached may go away again.
fn left(error: anyhow::Error, build: &str) -> anyhow::Result<ExitCode> {
    if !error.is::<Stopped>() {
        return Err(error);
    }
    say::err(&format!(
        "gofarm: left build {build} as it is; 'gofarm cancel {build}' ends one that is open\n"
    ));
    Ok(ExitCode::Interrupted)
}

/// Where each program goes: by -o of this command, else as the build itself was told, below this folder.
fn targets(
    outline: &Outline,
    given: Option<&str>,
    cwd: &Path,
) -> Result<BTreeMap<usize, PathBuf>, UsageError> {
    let Some(given) = given else {
        return Ok(deliver::targets(outline, cwd));
    };
    let path = cwd.join(given);
    if given.ends_with('/') || path.is_dir() {
        return Ok(deliver::programs_in(outline, &path));
    }
    let mut made: Vec<usize> = outline.programs().collect();
    if made.is_empty() {
        made.extend(deliver::targets(outline, cwd).into_keys());
    }
    match made[..] {
        [] => Ok(BTreeMap::new()),
        [one] => Ok(BTreeMap::from([(one, path)])),
        _ => Err(UsageError::new(format!(
            "gofarm attach: -o {given} names one file, and the build makes {} programs; name a folder ({given}/)",
            made.len()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use gofarm_proto::v1;

    use gofarm_proto::v1::OutlineNode;

    use super::*;

    fn outline(programs: &[&str]) -> v1::Outline {
        let node = |path: &&str| OutlineNode {
            kind: v1::Kind::Link.into(),
            import_path: (*path).to_owned(),
            target: Some(format!("there/{path}")),
            ..OutlineNode::default()
        };
        v1::Outline {
            nodes: programs.iter().map(node).collect(),
            ..v1::Outline::default()
        }
    }

    fn paths(outline: &v1::Outline, given: Option<&str>) -> Result<Vec<String>, String> {
        let targets = targets(&outline.clone().into(), given, Path::new("/w"));
        let targets = targets.map_err(|error| error.to_string())?;
        Ok(targets
            .into_values()
            .map(|path| path.display().to_string())
            .collect())
    }

    #[test]
    fn programs_go_where_this_command_or_the_first_one_said() {
        let mut two = outline(&["m/a", "m/b"]);
        assert_eq!(paths(&two, None).unwrap(), ["/w/bin/a", "/w/bin/b"]);
        assert_eq!(paths(&two, Some("d/")).unwrap(), ["/w/d/a", "/w/d/b"]);
        assert_eq!(
            paths(&two, Some("f")).unwrap_err(),
            "gofarm attach: -o f names one file, and the build makes 2 programs; name a folder (f/)"
        );
        two.output = Some("there".into());
        assert_eq!(paths(&two, None).unwrap(), ["/w/there/m/a", "/w/there/m/b"]);
        assert_eq!(paths(&outline(&["m/a"]), Some("f")).unwrap(), ["/w/f"]);
    }
}
