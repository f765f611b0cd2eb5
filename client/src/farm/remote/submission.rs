//! A build on its way to a farm.

use std::collections::HashSet;
use std::sync::Arc;

use anyhow::Context;
use gofarm_engine::core::{BuildId, BuildOptions, BuildSpec, GraphError};
use gofarm_proto::{Digest, Message, v1};
use gofarm_rpc::Source;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::bringing::{Bringing, Sourced, Trust};
use super::{CANCEL, PATIENCE, Remote};
use crate::farm::build::Build;
use crate::farm::supply::Supply;

/// Everything that a farm is given of a build.
#[derive(Debug)]
pub(crate) struct Submission {
    pub request: v1::SubmitRequest,
    /// Graph and attachment.
    own: Sourced,
    /// The definitions of the actions as they will be reached, and whether each can run at once.
    order: Vec<(Digest, bool)>,
    /// None for whoever only attached to the build.
    pub supply: Option<Arc<Supply>>,
}

impl Submission {
    /// # Errors
    /// The graph is not one, which the farm would say as well.
    pub fn new(remote: &Remote, build: &Build<'_>) -> Result<Submission, GraphError> {
        let blob = |bytes: Vec<u8>| (Digest::of(&bytes), Source::Bytes(bytes.into()));
        let graph = blob(build.graph.encode_to_vec());
        let attachment = blob(build.outline.encode_to_vec());
        let options = v1::BuildOptions {
            keep_going: build.choices.keep_going,
            no_cache: build.choices.no_cache,
            user: remote.user.clone(),
            title: title(&build.outline.packages, &build.outline.folder),
            pool: remote.pool.clone(),
            attachment: Some(attachment.0.into()),
        };
        Ok(Submission {
            request: v1::SubmitRequest {
                build: build.id.to_string(),
                graph: Some(graph.0.into()),
                options: Some(options),
            },
            own: vec![graph, attachment],
            order: order(build)?,
            supply: Some(build.supply.clone()),
        })
    }

    /// The submission of a build that is known to the farm, for submitting it again.
    pub fn of_known(build: &v1::Build) -> Submission {
        Submission {
            request: v1::SubmitRequest {
                build: build.build.clone(),
                graph: build.graph.clone(),
                options: build.options.clone(),
            },
            own: Vec::new(),
            order: Vec::new(),
            supply: None,
        }
    }

    /// Names the build.
    pub fn id(&self) -> anyhow::Result<BuildId> {
        let id = &self.request.build;
        let number = u128::from_str_radix(id, 16);
        Ok(BuildId(
            number.with_context(|| format!("{id:?} names no build"))?,
        ))
    }

    /// What there has to be before the first action can run: the graph, what the actions are, and what those read that wait
    /// for no other. Then the rest, as it will be needed.
    fn blobs(&self) -> (Sourced, Sourced) {
        let Some(supply) = &self.supply else {
            return (self.own.clone(), Vec::new());
        };
        let mut seen = HashSet::new();
        let mut unseen = |digests: &[Digest]| -> Sourced {
            let digests = digests.iter().filter(|digest| seen.insert(**digest));
            let sourced = digests.filter_map(|digest| Some((*digest, supply.source(digest)?)));
            sourced.collect()
        };
        let sources = |definition: &Digest| {
            let action = supply.action(definition);
            action.map_or(&[][..], |(_, sources)| sources)
        };
        let mut first = self.own.clone();
        first.extend(unseen(supply.definitions()));
        for (definition, at_once) in &self.order {
            if *at_once {
                first.extend(unseen(sources(definition)));
            }
        }
        let mut rest = Vec::new();
        for (definition, _) in &self.order {
            rest.extend(unseen(sources(definition)));
        }
        (first, rest)
    }
}

fn order(build: &Build<'_>) -> Result<Vec<(Digest, bool)>, GraphError> {
    let spec = BuildSpec::from_graph(build.id, BuildOptions::default(), build.graph, |_| None)?;
    let nodes = spec.by_priority().into_iter();
    let nodes = nodes.map(|node| &build.graph.nodes[node.0 as usize]);
    let order = nodes.filter_map(|node| {
        let definition = Digest::try_from(node.action.as_ref()?).ok()?;
        Some((definition, node.inputs.is_empty()))
    });
    Ok(order.collect())
}

/// What was asked for, and from where.
fn title(packages: &[String], folder: &str) -> String {
    let packages = match packages {
        [] => ".".to_owned(),
        packages => packages.join(" "),
    };
    let machine = rustix::system::uname();
    let machine = machine.nodename().to_string_lossy();
    format!("{packages} in {machine}:{folder}")
}

impl Remote {
    /// Begins to bring everything that the farm lacks there.
    pub(super) fn bringing(&self, submission: &Submission) -> Bringing {
        let (first, rest) = submission.blobs();
        Bringing::start(self.blobs.clone(), first, rest, Trust::Presence)
    }

    /// As [`bringing`](Remote::bringing), for a build that nobody will be there for: what the farm has is compared, too.
    pub(super) fn bringing_for_good(&self, submission: &Submission) -> Bringing {
        let (first, rest) = submission.blobs();
        Bringing::start(self.blobs.clone(), first, rest, Trust::Bytes)
    }

    /// Submits; nothing happens when the farm knows the build. False when cancelled meanwhile: then it is ended, in case
    /// that the farm has taken it in.
    pub(super) async fn submit(
        &self,
        submission: &Submission,
        cancel: &CancellationToken,
    ) -> anyhow::Result<bool> {
        let submitted = self
            .connection
            .retry("submit a build", Instant::now() + PATIENCE, || {
                let (mut client, request) = (self.connection.builds(), submission.request.clone());
                async move { client.submit(request).await }
            });
        tokio::select! {
            submitted = submitted => {
                submitted?;
                Ok(true)
            }
            () = cancel.cancelled() => {
                // Where the farm does not answer, there is nobody to tell.
                let _ = self.cancel(submission.id()?, CANCEL).await;
                Ok(false)
            }
        }
    }
}
