//! The service `gofarm.v1.Builds`.

mod action_log;
mod reader;
#[cfg(test)]
mod tests;
mod waiting;
mod watch;

use futures::stream::BoxStream;
use gofarm_proto::v1;
use gofarm_proto::v1::builds_server::Builds;
use tonic::{Request, Response, Status};

use self::reader::Reader;
use super::engine::{EngineHandle, SubmitError};
use super::registry::RegistryError;
use gofarm_engine::core::{BuildId, ParseBuildIdError};

/// Builds in a list, when the caller does not say how many; and at most.
const LISTED: usize = 100;
const LISTED_AT_MOST: usize = 1000;

/// The service of one replica. Builds of other replicas are reached through the registry.
pub struct BuildsService {
    engine: EngineHandle,
}

impl BuildsService {
    /// Builds that are submitted here are this engine's.
    pub fn new(engine: EngineHandle) -> BuildsService {
        BuildsService { engine }
    }

    async fn reader(&self, build: &str, after: u64) -> Result<Reader, Status> {
        let (registry, store) = (self.engine.registry().clone(), self.engine.store().clone());
        Reader::open(registry, store, id(build)?, after).await
    }
}

fn id(build: &str) -> Result<BuildId, Status> {
    let id = build.parse();
    id.map_err(|error: ParseBuildIdError| Status::invalid_argument(error.to_string()))
}

fn unavailable(error: RegistryError) -> Status {
    match &error {
        RegistryError::Full { .. } => Status::resource_exhausted(error.to_string()),
        _ => Status::unavailable(error.to_string()),
    }
}

fn not_found(build: BuildId) -> Status {
    Status::not_found(format!(
        "build {build} is not known: it was never submitted, is over since more than a day, or the farm lost it; submit it again"
    ))
}

#[tonic::async_trait]
impl Builds for BuildsService {
    type WatchStream = BoxStream<'static, Result<v1::WatchResponse, Status>>;
    type ActionLogStream = BoxStream<'static, Result<v1::ActionLogResponse, Status>>;

    async fn submit(
        &self,
        request: Request<v1::SubmitRequest>,
    ) -> Result<Response<v1::SubmitResponse>, Status> {
        let accepted = self.engine.submit(request.into_inner()).await;
        let accepted = accepted.map_err(|error| match &error {
            SubmitError::Invalid(_) => Status::invalid_argument(error.to_string()),
            SubmitError::NoGraph(_) => Status::not_found(error.to_string()),
            SubmitError::Unavailable(_) => Status::unavailable(error.to_string()),
            SubmitError::Full(_) => Status::resource_exhausted(error.to_string()),
        })?;
        Ok(Response::new(v1::SubmitResponse { accepted }))
    }

    async fn watch(
        &self,
        request: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let request = request.into_inner();
        let reader = self.reader(&request.build, request.after).await?;
        let stream = watch::stream(reader, request.without_logs);
        Ok(Response::new(Box::pin(stream)))
    }

    async fn cancel(
        &self,
        request: Request<v1::CancelRequest>,
    ) -> Result<Response<v1::CancelResponse>, Status> {
        let build = id(&request.into_inner().build)?;
        let registry = self.engine.registry();
        match registry.cancel(build).await.map_err(unavailable)? {
            true => Ok(Response::new(v1::CancelResponse {})),
            false => Err(not_found(build)),
        }
    }

    async fn list(
        &self,
        request: Request<v1::ListRequest>,
    ) -> Result<Response<v1::ListResponse>, Status> {
        let request = request.into_inner();
        let limit = match request.limit {
            0 => LISTED,
            limit => LISTED_AT_MOST.min(limit as usize),
        };
        let builds = self.engine.registry().list(limit, request.open).await;
        let builds = builds.map_err(unavailable)?;
        Ok(Response::new(v1::ListResponse { builds }))
    }

    async fn get(&self, request: Request<v1::GetRequest>) -> Result<Response<v1::Build>, Status> {
        let build = id(&request.into_inner().build)?;
        let found = self.engine.registry().get(build).await;
        let found = found.map_err(unavailable)?;
        found.map(Response::new).ok_or_else(|| not_found(build))
    }

    async fn waiting(
        &self,
        request: Request<v1::WaitingRequest>,
    ) -> Result<Response<v1::WaitingResponse>, Status> {
        let request = request.into_inner();
        let build = id(&request.build)?;
        let registry = self.engine.registry();
        let found = registry.get(build).await.map_err(unavailable)?;
        let found = found.ok_or_else(|| not_found(build))?;
        let workers = registry.workers().await.map_err(unavailable)?;
        let open = registry.list(LISTED_AT_MOST, true).await;
        let open = open.map_err(unavailable)?;
        let answer = waiting::answer(&found, &request.platforms, workers, &open);
        let store_full = self.engine.store().room().why().unwrap_or_default();
        Ok(Response::new(v1::WaitingResponse {
            store_full,
            ..answer
        }))
    }

    async fn provide(
        &self,
        request: Request<v1::ProvideRequest>,
    ) -> Result<Response<v1::ProvideResponse>, Status> {
        let provided = request.into_inner();
        let build = id(&provided.build)?;
        let registry = self.engine.registry();
        let known = registry.provide(build, &provided).await;
        match known.map_err(unavailable)? {
            true => Ok(Response::new(v1::ProvideResponse {})),
            false => Err(not_found(build)),
        }
    }

    async fn action_log(
        &self,
        request: Request<v1::ActionLogRequest>,
    ) -> Result<Response<Self::ActionLogStream>, Status> {
        let request = request.into_inner();
        let skimmed = self.reader(&request.build, 0).await?;
        let again = self.reader(&request.build, 0).await?;
        let store = self.engine.store().clone();
        let stream = action_log::stream(skimmed, again, store, &request).await?;
        Ok(Response::new(Box::pin(stream)))
    }
}
