//! The replicas of the farm's scheduler: any of them serves any call.

use std::sync::atomic::{AtomicUsize, Ordering};

use gofarm_proto::v1::leases_client::LeasesClient;
use gofarm_rpc::{Authorized, BlobClient, ConnectOptions, Connection, RpcError};

/// A result carries its output along, which is up to 16 MiB.
const LIMIT: usize = 64 << 20;

/// Where the farm can be reached. One address is used until it fails, then the next.
#[derive(Debug)]
pub struct Servers {
    servers: Vec<Server>,
    current: AtomicUsize,
}

/// One address.
#[derive(Debug)]
pub(super) struct Server {
    pub connection: Connection,
    pub blobs: BlobClient,
}

impl Servers {
    /// Prepares connections to all addresses; nothing is sent yet. Must be called on a tokio runtime.
    ///
    /// # Errors
    ///
    /// As [`Connection::connect`], and when there is no address at all.
    pub fn connect(urls: &[String], options: &ConnectOptions) -> Result<Servers, RpcError> {
        let servers = urls
            .iter()
            .map(|url| {
                let connection = Connection::connect(url, options.clone())?;
                Ok(Server {
                    blobs: BlobClient::new(connection.clone()),
                    connection,
                })
            })
            .collect::<Result<Vec<Server>, RpcError>>()?;
        if servers.is_empty() {
            return Err(RpcError::Address {
                text: String::new(),
                reason: "it is empty".to_owned(),
            });
        }
        Ok(Servers {
            servers,
            current: AtomicUsize::new(0),
        })
    }

    /// The address that works, as far as known.
    pub(super) fn current(&self) -> &Server {
        &self.servers[self.current.load(Ordering::Relaxed) % self.servers.len()]
    }

    /// A call to this address has failed for a reason that another may not have.
    pub(super) fn turn_from(&self, failed: &Server) {
        let current = self.current.load(Ordering::Relaxed);
        if std::ptr::eq(&self.servers[current % self.servers.len()], failed) {
            // If somebody else was faster, so much the better.
            let next = current.wrapping_add(1);
            let _ =
                self.current
                    .compare_exchange(current, next, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

impl Server {
    pub fn leases(&self) -> LeasesClient<Authorized> {
        LeasesClient::new(self.connection.service())
            .max_decoding_message_size(LIMIT)
            .max_encoding_message_size(LIMIT)
    }
}
