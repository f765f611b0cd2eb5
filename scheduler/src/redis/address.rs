//! Where Redis is, and whom to take for it.

use std::path::{Path, PathBuf};

use redis::{Client, ConnectionInfo, IntoConnectionInfo, RedisError, TlsCertificates};

const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// A Redis that cannot be used as it is named. Messages do not repeat the URL: it may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum RedisServerError {
    /// Not a URL of Redis.
    #[error(
        "--redis is not redis://[user:password@]host[:port][/database], rediss:// for TLS, or unix:///socket"
    )]
    Url(#[source] RedisError),
    /// The file of authorities cannot be read.
    #[error("--redis-ca {path} cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file holds no certificate.
    #[error(
        "--redis-ca {path} holds no certificate: it must be PEM, with the certificates of authorities"
    )]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The file holds something that is no certificate.
    #[error(
        "--redis-ca {path} cannot be used: it must be PEM, with the certificates of authorities"
    )]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: RedisError,
    },
    /// Authorities for a connection that has none.
    #[error(
        "--redis-ca is for a Redis that is spoken to by TLS: give --redis a URL with rediss://"
    )]
    InTheClear,
}

/// The Redis at a URL: `redis://[user:password@]host[:port][/database]`, `rediss://` for TLS, `unix:///socket`. With TLS the
/// system's authorities are trusted, or only those in the file `ca` (PEM).
///
/// # Errors
///
/// See [`RedisServerError`]. The server itself is not asked.
pub fn redis_server(url: &str, ca: Option<&Path>) -> Result<ConnectionInfo, RedisServerError> {
    let server = url.into_connection_info().map_err(RedisServerError::Url)?;
    let Some(path) = ca else {
        return Ok(server);
    };
    if !matches!(server.addr(), redis::ConnectionAddr::TcpTls { .. }) {
        return Err(RedisServerError::InTheClear);
    }
    let pem = std::fs::read(path).map_err(|source| RedisServerError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    // Who reads it passes over whatever is no certificate.
    let mut texts = pem.windows(CERTIFICATE.len());
    if !texts.any(|text| text == CERTIFICATE) {
        return Err(RedisServerError::NoCertificate {
            path: path.to_owned(),
        });
    }
    let trusted = TlsCertificates {
        client_tls: None,
        root_cert: Some(pem),
    };
    let client = Client::build_with_tls(server, trusted);
    let client = client.map_err(|source| RedisServerError::Unusable {
        path: path.to_owned(),
        source,
    })?;
    Ok(client.get_connection_info().clone())
}
