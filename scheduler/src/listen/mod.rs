//! The ports: who may listen where, TLS, and serving until told to stop.

#[cfg(test)]
mod panic_test;
mod panics;
mod serve;
mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::net::TcpListener;

pub(crate) use panics::catch_http;
pub use serve::{Ports, Services, told_to_stop};
pub use tls::server_tls;

use super::access::Access;
use super::options::Options;

/// A port cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Whoever reaches the port could run commands on the workers.
    #[error(
        "{flag} {address} would let everyone who reaches it run commands on the workers: set a token with --token-file or GOFARM_TOKEN, or say --insecure if the network is closed"
    )]
    Unguarded {
        /// Which option says so.
        flag: &'static str,
        /// Where.
        address: SocketAddr,
    },
    /// The address cannot be taken.
    #[error("{flag} {address} cannot be listened on; is another scheduler running?")]
    Bind {
        /// Which option says so.
        flag: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A file of the certificate cannot be read.
    #[error("{flag} {path} cannot be read")]
    TlsFile {
        /// Which option names it.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The files are no certificate and key that belong together.
    #[error(
        "--tls-cert {cert} and --tls-key {key} cannot be used: both must be PEM, and the key that of the first certificate"
    )]
    Tls {
        /// The certificate chain.
        cert: PathBuf,
        /// The key.
        key: PathBuf,
        /// Why.
        source: tonic::transport::Error,
    },
}

/// Both ports are guarded by a token, out of reach for others, or open because the user says so.
///
/// # Errors
///
/// [`ListenError::Unguarded`].
pub fn guarded(options: &Options, access: &Access) -> Result<(), ListenError> {
    for (flag, address) in [("--listen", options.listen), ("--http", options.http)] {
        if !access.is_guarded() && !options.insecure && !address.ip().to_canonical().is_loopback() {
            return Err(ListenError::Unguarded { flag, address });
        }
    }
    Ok(())
}

/// Takes the address of a port.
///
/// # Errors
///
/// [`ListenError::Bind`].
pub async fn bind(flag: &'static str, address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| ListenError::Bind {
            flag,
            address,
            source,
        })
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use gofarm_rpc::FarmToken;

    use super::*;
    use crate::access::Token;

    fn options(args: &[&str]) -> Options {
        Options::try_parse_from([&["gofarm-scheduler"], args].concat()).unwrap()
    }

    #[test]
    fn without_a_token_only_loopback_is_served() {
        let open = Access::new(None);
        for address in [
            "127.0.0.1:1",
            "127.3.2.1:1",
            "[::1]:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert!(
                guarded(&options(&["--listen", address]), &open).is_ok(),
                "{address}"
            );
        }
        for address in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "[::ffff:10.0.0.1]:1"] {
            for flag in ["--listen", "--http"] {
                let options = options(&[flag, address]);
                let refused = guarded(&options, &open).unwrap_err().to_string();
                assert!(
                    refused.starts_with(flag) && refused.contains("--token-file"),
                    "{refused}"
                );
            }
        }
    }

    #[test]
    fn a_token_or_the_users_word_opens_the_ports() {
        let anywhere = ["--listen", "0.0.0.0:1", "--http", "0.0.0.0:2"];
        let token = Access::new(Some(Token::of(&FarmToken::new(b"t", "test").unwrap())));
        assert!(guarded(&options(&anywhere), &token).is_ok());
        let insecure = options(&[&anywhere[..], &["--insecure"]].concat());
        assert!(guarded(&insecure, &Access::new(None)).is_ok());
    }
}
