//! A connection to a farm.

use std::path::PathBuf;
use std::time::Duration;

use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use crate::address::FarmAddress;
use crate::authorization::{
    Authorization, Authorized, BlobsClient, BuildsClient, FarmClient, LeasesClient,
};
use crate::error::RpcError;

/// No message is larger than this, in bytes. The largest are batches of blobs, of some 4 MiB.
pub const MESSAGE_LIMIT: usize = 16 << 20;

/// Two unanswered pings make ten seconds: a peer that is gone without a word is noticed within that.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// What may be under way unread, for one blob and for all of them. The defaults of HTTP/2 (64 KiB) would make each
/// piece of a blob wait for several round trips.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// How to connect.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// Sent with every call.
    pub token: Option<String>,
    /// A PEM file with the certificates that the farm's is signed by, in place of the machine's own list. Only
    /// for `https://`.
    pub ca: Option<PathBuf>,
    /// How long one attempt to connect may take.
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

/// A connection to a farm that is made when it is first needed, and made again whenever it broke. Cheap to clone;
/// all clones share it.
#[derive(Debug, Clone)]
pub struct Connection {
    address: FarmAddress,
    channel: Channel,
    authorization: Authorization,
}

impl Connection {
    /// Prepares a connection; nothing is sent yet. Must be called on a tokio runtime.
    ///
    /// # Errors
    ///
    /// For a malformed address or token, a certificate file that cannot be read, and TLS without a trusted
    /// certificate.
    pub fn connect(url: &str, options: ConnectOptions) -> Result<Connection, RpcError> {
        let address: FarmAddress = url.parse()?;
        let authorization = Authorization::new(options.token.as_deref())?;
        let mut endpoint = Endpoint::from(address.uri().clone())
            .connect_timeout(options.connect_timeout)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        if address.is_tls() {
            let tls = trusted(options.ca)?.timeout(options.connect_timeout);
            endpoint = endpoint
                .tls_config(tls)
                .map_err(|source| RpcError::NoTrust {
                    address: address.clone(),
                    source,
                })?;
        }
        Ok(Connection {
            channel: endpoint.connect_lazy(),
            address,
            authorization,
        })
    }

    /// Where the farm is.
    pub fn address(&self) -> &FarmAddress {
        &self.address
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
        Authorized::new(self.channel.clone(), self.authorization.clone())
    }

    pub(crate) fn has_token(&self) -> bool {
        self.authorization.is_set()
    }
}

fn trusted(ca: Option<PathBuf>) -> Result<ClientTlsConfig, RpcError> {
    let Some(path) = ca else {
        return Ok(ClientTlsConfig::new().with_native_roots());
    };
    match std::fs::read(&path) {
        Ok(pem) => Ok(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem))),
        Err(source) => Err(RpcError::Ca { path, source }),
    }
}
