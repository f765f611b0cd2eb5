//! What a build was submitted with, read back from the farm.

use anyhow::{Context, anyhow};
use gofarm_proto::{Digest, Message, v1};
use tonic::Status;

use super::Asking;
use crate::outline::Outline;

/// A build, and what its client left with it.
pub struct Known {
    pub build: v1::Build,
    pub graph: v1::Graph,
    /// Or why there is none that this version can use.
    pub outline: anyhow::Result<Outline>,
}

impl Known {
    /// The outline, or what can be said of the build without one: its paths stay virtual.
    pub fn outline_or_labels(&self) -> Outline {
        match &self.outline {
            Ok(outline) => outline.clone(),
            Err(_) => Outline::of_graph(&self.graph),
        }
    }
}

impl Asking {
    /// Reads back a build.
    pub(in crate::commands) fn known(&self, id: &str) -> anyhow::Result<Known> {
        let build = self.find(id)?;
        let graph = build.graph.as_ref().context("the farm names no graph")?;
        let graph = self
            .blob(graph)
            .with_context(|| format!("reading the graph of build {}", build.build))?;
        let graph = v1::Graph::decode(graph.as_slice()).context("reading the graph")?;
        let attachment = build
            .options
            .as_ref()
            .and_then(|options| options.attachment.as_ref());
        let outline = match attachment.map(|digest| self.blob(digest)) {
            Some(Ok(bytes)) => Outline::read(&bytes, graph.nodes.len()).map_err(Into::into),
            Some(Err(error)) => Err(error.context("its outline cannot be read")),
            None => Err(anyhow!(
                "it has no outline on the farm: it was not submitted by gofarm submit"
            )),
        };
        Ok(Known {
            outline,
            build,
            graph,
        })
    }

    fn blob(&self, digest: &v1::Digest) -> anyhow::Result<Vec<u8>> {
        let expected = Digest::try_from(digest)?;
        let read = || {
            let mut client = self.connection.blobs();
            let request = v1::ReadRequest {
                digest: Some(digest.clone()),
                offset: 0,
                zstd: false,
            };
            async move {
                let mut stream = client.read(request).await?.into_inner();
                let mut bytes = Vec::new();
                while let Some(piece) = stream.message().await? {
                    if piece.zstd {
                        return Err(Status::internal(
                            "compressed although that was not asked for",
                        ));
                    }
                    bytes.extend_from_slice(&piece.data);
                }
                Ok(tonic::Response::new(bytes))
            }
        };
        let bytes = self.ask("read a blob", read)?;
        if Digest::of(&bytes) != expected {
            return Err(anyhow!(
                "the farm sent other bytes than those of {expected}"
            ));
        }
        Ok(bytes)
    }
}
