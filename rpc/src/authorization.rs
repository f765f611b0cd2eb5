//! The token that every call carries.

use gofarm_proto::v1;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::{Request, Status};

use crate::error::RpcError;
use crate::replicas::Route;

/// What the generated clients of a [`Connection`](crate::Connection) send their calls through.
pub type Authorized = InterceptedService<Route, Authorization>;

/// Adds `authorization: Bearer TOKEN` to each call, when there is a token.
#[derive(Clone)]
pub struct Authorization {
    header: Option<MetadataValue<Ascii>>,
}

// The token itself stays out of every log.
impl std::fmt::Debug for Authorization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authorization")
            .field("token", &self.is_set())
            .finish()
    }
}

impl Authorization {
    /// White space around the token does not belong to it: it was read from a file.
    pub(crate) fn new(token: Option<&str>) -> Result<Authorization, RpcError> {
        let Some(token) = token.map(str::trim).filter(|token| !token.is_empty()) else {
            return Ok(Authorization { header: None });
        };
        let mut header: MetadataValue<Ascii> = format!("Bearer {token}")
            .parse()
            .map_err(|_| RpcError::TokenText)?;
        header.set_sensitive(true);
        Ok(Authorization {
            header: Some(header),
        })
    }

    pub(crate) fn is_set(&self) -> bool {
        self.header.is_some()
    }
}

impl Interceptor for Authorization {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(header) = &self.header {
            request
                .metadata_mut()
                .insert("authorization", header.clone());
        }
        Ok(request)
    }
}

/// The generated clients, by the names that [`Connection`](crate::Connection) gives them.
pub(crate) type BlobsClient = v1::blobs_client::BlobsClient<Authorized>;
pub(crate) type BuildsClient = v1::builds_client::BuildsClient<Authorized>;
pub(crate) type LeasesClient = v1::leases_client::LeasesClient<Authorized>;
pub(crate) type FarmClient = v1::farm_client::FarmClient<Authorized>;
