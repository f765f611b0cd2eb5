//! A connection to a farm.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use crate::address::{FarmAddress, FarmAddresses};
use crate::authorization::Authorization;
use crate::clients::{Authorized, BlobsClient, BuildsClient, FarmClient, LeasesClient};
use crate::error::RpcError;
use crate::replicas::{AddressIndex, Replicas, Route};
use crate::token::FarmToken;

/// No message is larger than this, in bytes. The largest are batches of blobs, of some 4 MiB.
pub const MESSAGE_LIMIT: usize = 16 << 20;

/// Two unanswered pings make ten seconds: a peer that is gone without a word is noticed within that.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// What may be under way unread, for one blob and for all of them. The defaults of HTTP/2 (64 KiB) would make each
/// piece of a blob wait for several round trips.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// One attempt to connect to one of several addresses has at least so long.
const LEAST_CONNECT: Duration = Duration::from_millis(500);

/// How to connect.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// Sent with every call.
    pub token: Option<FarmToken>,
    /// A PEM file with the certificates that the farm's is signed by, in place of the machine's own list. Only
    /// for `https://`.
    pub ca: Option<PathBuf>,
    /// How long one attempt to connect may take. One to each of several addresses together takes less.
    pub connect_timeout: Duration,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        ConnectOptions {
            token: None,
            ca: None,
            connect_timeout: Duration::from_secs(5),
        }
    }
}

/// A connection to a farm that is made when it is first needed, and made again whenever it broke. Of a farm with several
/// addresses one is used, at first a random one. When it cannot be reached, breaks off, or answers UNAVAILABLE, the
/// calls that follow go to the next; whoever left its first address comes back to it when it serves again, so that
/// clients and workers stay spread over the replicas of a scheduler. Cheap to clone; all clones share it.
#[derive(Debug, Clone)]
pub struct Connection {
    addresses: FarmAddresses,
    replicas: Arc<Replicas>,
    authorization: Authorization,
}

impl Connection {
    /// Prepares a connection to the [addresses](FarmAddresses) that the text has; nothing is sent yet. Must be called on
    /// a tokio runtime.
    ///
    /// # Errors
    ///
    /// For a malformed address, a certificate file that cannot be read, and TLS without a trusted
    /// certificate.
    pub fn connect(urls: &str, options: ConnectOptions) -> Result<Connection, RpcError> {
        let addresses: FarmAddresses = urls.parse()?;
        let authorization = Authorization::new(options.token.as_ref());
        let replicas = u32::try_from(addresses.iter().len()).unwrap_or(u32::MAX);
        // An address behind which nobody is must leave time for another one.
        let timeout = match replicas {
            1 => options.connect_timeout,
            several => (options.connect_timeout / (several + 1)).max(LEAST_CONNECT),
        };
        let channels = addresses.iter().map(|address| {
            let endpoint = endpoint(address, timeout, options.ca.as_deref())?;
            Ok(endpoint.connect_lazy())
        });
        let channels = channels.collect::<Result<Vec<Channel>, RpcError>>()?;
        Ok(Connection {
            replicas: Replicas::new(&addresses, channels, authorization.clone()),
            addresses,
            authorization,
        })
    }

    /// Where the farm is.
    pub fn addresses(&self) -> &FarmAddresses {
        &self.addresses
    }

    /// Which of the addresses the next call goes to.
    pub fn place(&self) -> AddressIndex {
        self.replicas.place()
    }

    /// What is at this address is of no use although it can be reached: it says nothing, or has no room. Calls to come
    /// go to another one, if there is one.
    pub fn turn_from(&self, place: AddressIndex) {
        self.replicas.turn_from(place);
    }

    /// The service of blobs. [`BlobClient`](crate::BlobClient) is what most callers want.
    pub fn blobs(&self) -> BlobsClient {
        BlobsClient::new(self.service())
            .max_decoding_message_size(MESSAGE_LIMIT)
            .max_encoding_message_size(MESSAGE_LIMIT)
    }

    /// The service of builds.
    pub fn builds(&self) -> BuildsClient {
        BuildsClient::new(self.service())
            .max_decoding_message_size(MESSAGE_LIMIT)
            .max_encoding_message_size(MESSAGE_LIMIT)
    }

    /// The service that gives work to workers.
    pub fn leases(&self) -> LeasesClient {
        LeasesClient::new(self.service())
            .max_decoding_message_size(MESSAGE_LIMIT)
            .max_encoding_message_size(MESSAGE_LIMIT)
    }

    /// What the farm consists of.
    pub fn farm(&self) -> FarmClient {
        FarmClient::new(self.service())
            .max_decoding_message_size(MESSAGE_LIMIT)
            .max_encoding_message_size(MESSAGE_LIMIT)
    }

    /// For a client of another service that the farm has (health, reflection).
    pub fn service(&self) -> Authorized {
        Authorized::new(Route::new(&self.replicas), self.authorization.clone())
    }

    pub(crate) fn has_token(&self) -> bool {
        self.authorization.is_set()
    }
}

fn endpoint(
    address: &FarmAddress,
    timeout: Duration,
    ca: Option<&Path>,
) -> Result<Endpoint, RpcError> {
    let endpoint = Endpoint::from(address.uri().clone())
        .connect_timeout(timeout)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    if !address.is_tls() {
        return Ok(endpoint);
    }
    let tls = trusted(ca)?.timeout(timeout);
    endpoint
        .tls_config(tls)
        .map_err(|source| RpcError::NoTrust {
            address: address.clone(),
            source,
        })
}

fn trusted(ca: Option<&Path>) -> Result<ClientTlsConfig, RpcError> {
    let Some(path) = ca else {
        return Ok(ClientTlsConfig::new().with_native_roots());
    };
    match std::fs::read(path) {
        Ok(pem) => Ok(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem))),
        Err(source) => Err(RpcError::Ca {
            path: path.to_owned(),
            source,
        }),
    }
}
