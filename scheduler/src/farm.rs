//! The service `gofarm.v1.Farm`.

use std::sync::Arc;

use gofarm_proto::v1;
use gofarm_proto::v1::farm_server::Farm;
use tonic::{Request, Response, Status};

use super::registry::Registry;

/// The service over what the replicas share.
pub struct FarmService {
    registry: Arc<dyn Registry>,
}

impl FarmService {
    /// Answers from this registry.
    pub fn new(registry: Arc<dyn Registry>) -> FarmService {
        FarmService { registry }
    }
}

#[tonic::async_trait]
impl Farm for FarmService {
    async fn workers(
        &self,
        _: Request<v1::WorkersRequest>,
    ) -> Result<Response<v1::WorkersResponse>, Status> {
        let workers = self.registry.workers().await;
        let workers = workers.map_err(|error| Status::unavailable(error.to_string()))?;
        Ok(Response::new(v1::WorkersResponse { workers }))
    }
}
