//! The generated clients of the services, as a [`Connection`](crate::Connection) hands them out.

use gofarm_proto::v1;
use tonic::service::interceptor::InterceptedService;

use crate::authorization::Authorization;
use crate::replicas::Route;

/// What the generated clients of a [`Connection`](crate::Connection) send their calls through.
pub type Authorized = InterceptedService<Route, Authorization>;

/// The generated clients, by the names that [`Connection`](crate::Connection) gives them.
pub(crate) type BlobsClient = v1::blobs_client::BlobsClient<Authorized>;
pub(crate) type BuildsClient = v1::builds_client::BuildsClient<Authorized>;
pub(crate) type LeasesClient = v1::leases_client::LeasesClient<Authorized>;
pub(crate) type FarmClient = v1::farm_client::FarmClient<Authorized>;
