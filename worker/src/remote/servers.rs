//! The farm as a worker reaches it.

use gofarm_proto::v1::leases_client::LeasesClient;
use gofarm_rpc::{AddressIndex, Authorized, BlobClient, ConnectOptions, Connection, RpcError};

/// A result carries its output along, which is up to 16 MiB.
const LIMIT: usize = 64 << 20;

/// The replicas of the farm's scheduler: any of them serves any call, and one is used until it fails.
#[derive(Debug)]
pub struct Servers {
    connection: Connection,
    blobs: BlobClient,
}

/// The one that is used just now, as far as known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Server<'a> {
    pub connection: &'a Connection,
    pub blobs: &'a BlobClient,
    place: AddressIndex,
}

impl Servers {
    /// Prepares connections to all addresses; nothing is sent yet. Must be called on a tokio runtime.
    ///
    /// # Errors
    ///
    /// As [`Connection::connect`], and when there is no address at all.
    pub fn connect(urls: &[String], options: &ConnectOptions) -> Result<Servers, RpcError> {
        let connection = Connection::connect(&urls.join(","), options.clone())?;
        Ok(Servers {
            blobs: BlobClient::new(connection.clone()),
            connection,
        })
    }

    pub(super) fn current(&self) -> Server<'_> {
        Server {
            connection: &self.connection,
            blobs: &self.blobs,
            place: self.connection.place(),
        }
    }

    /// A call to this one has failed for a reason that another may not have. That it is not there, the connection has
    /// noticed by itself.
    pub(super) fn turn_from(&self, failed: Server<'_>) {
        self.connection.turn_from(failed.place);
    }
}

impl Server<'_> {
    pub fn leases(&self) -> LeasesClient<Authorized> {
        LeasesClient::new(self.connection.service())
            .max_decoding_message_size(LIMIT)
            .max_encoding_message_size(LIMIT)
    }
}
