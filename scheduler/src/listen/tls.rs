//! TLS of the gRPC port.

use std::path::Path;

use tonic::transport::{Identity, Server, ServerTlsConfig};

use super::ListenError;
use crate::options::Options;

/// What the options say about TLS. The files are read and tried here, so that a mistake shows before anything is served.
///
/// # Errors
///
/// [`ListenError::TlsFile`], [`ListenError::Tls`].
pub fn server_tls(options: &Options) -> Result<Option<ServerTlsConfig>, ListenError> {
    let (Some(cert), Some(key)) = (&options.tls_cert, &options.tls_key) else {
        return Ok(None);
    };
    let identity = Identity::from_pem(read("--tls-cert", cert)?, read("--tls-key", key)?);
    let config = ServerTlsConfig::new().identity(identity);
    let tried = Server::builder().tls_config(config.clone());
    tried.map_err(|source| ListenError::Tls {
        cert: cert.clone(),
        key: key.clone(),
        source,
    })?;
    Ok(Some(config))
}

fn read(flag: &'static str, path: &Path) -> Result<Vec<u8>, ListenError> {
    std::fs::read(path).map_err(|source| ListenError::TlsFile {
        flag,
        path: path.to_owned(),
        source,
    })
}
