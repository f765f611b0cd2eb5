//! What can go wrong between this process and a farm.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use gofarm_store::ErrorClass;
use tonic::{Code, Status};

use crate::address::{AddressError, FarmAddress, FarmAddresses};

/// Why a farm could not be asked, or what it did not do.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// The address is malformed.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The file of trusted certificates cannot be read.
    #[error("cannot read the trusted certificates in {}: {source}; name a readable PEM file", path.display())]
    Ca {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is nothing to compare the farm's certificate with.
    #[error(
        "cannot connect to the farm {address} with TLS: no trusted certificates: {source}; install the machine's ca-certificates, or name a PEM file with the farm's certificate authority"
    )]
    NoTrust {
        /// The farm.
        address: FarmAddress,
        /// What is missing or malformed.
        source: tonic::transport::Error,
    },
    /// The farm could not be reached, or the connection broke.
    #[error(
        "cannot {what} at the farm {address}: {reason}; check that gofarm-scheduler runs there and that this machine can reach it"
    )]
    Unreachable {
        /// What was tried.
        what: &'static str,
        /// The farm.
        address: FarmAddresses,
        /// The last thing that went wrong.
        reason: String,
    },
    /// The farm answered that it cannot do it at the moment: its object store is away, it is ending.
    #[error("the farm {address} cannot {what} for now: {reason}")]
    NotNow {
        /// What was tried.
        what: &'static str,
        /// The farm.
        address: FarmAddresses,
        /// What it said.
        reason: String,
    },
    /// The farm has no room for what was to be stored, or for another build. Trying again does not help before somebody makes some.
    #[error("the farm {address} cannot {what}: it has no room: {reason}")]
    Full {
        /// What was tried.
        what: &'static str,
        /// The farm.
        address: FarmAddresses,
        /// What it said: where there is no room, and what to do.
        reason: String,
    },
    /// The other side is not who it should be, or does not speak TLS.
    #[error(
        "cannot trust the farm {address}: {reason}; check the address, and name the certificate authority that signed its certificate"
    )]
    Certificate {
        /// The farm.
        address: FarmAddresses,
        /// What TLS said.
        reason: String,
    },
    /// Something answers there, and it does not speak gRPC: the port of a scheduler's pages, say.
    #[error(
        "cannot {what} at {address}: no farm's gRPC port is there ({reason}); name the address that gofarm-scheduler has from --listen (port 8980 unless it says another), not the one from --http (8981)"
    )]
    NoFarm {
        /// What was tried.
        what: &'static str,
        /// What was taken for a farm.
        address: FarmAddresses,
        /// What it answered.
        reason: String,
    },
    /// The farm wants a token, or another one.
    #[error("the farm {address} {}; set the farm's token with --token-file, GOFARM_TOKEN_FILE or GOFARM_TOKEN",
        if *sent { "refused the token" } else { "asks for a token, and none is set" })]
    Token {
        /// The farm.
        address: FarmAddresses,
        /// Whether one was sent.
        sent: bool,
    },
    /// The farm has understood and declined.
    #[error("cannot {what} at the farm {address}: {}", said(status))]
    Refused {
        /// What was tried.
        what: &'static str,
        /// The farm.
        address: FarmAddresses,
        /// What it answered.
        status: Box<Status>,
    },
}

impl RpcError {
    /// Whether the same call may succeed a little later.
    pub fn is_transient(&self) -> bool {
        matches!(self, RpcError::Unreachable { .. } | RpcError::NotNow { .. })
    }

    /// The farm's answer, when it was one: what a caller decides by.
    pub fn code(&self) -> Option<Code> {
        match self {
            RpcError::Refused { status, .. } => Some(status.code()),
            RpcError::Token { .. } => Some(Code::Unauthenticated),
            RpcError::Full { .. } => Some(Code::ResourceExhausted),
            _ => None,
        }
    }

    /// Whose matter this is.
    pub fn class(&self) -> ErrorClass {
        match self {
            RpcError::Address(_) | RpcError::Ca { .. } | RpcError::Token { .. } => ErrorClass::User,
            RpcError::NoTrust { .. }
            | RpcError::Unreachable { .. }
            | RpcError::NotNow { .. }
            | RpcError::Full { .. }
            | RpcError::NoFarm { .. }
            | RpcError::Certificate { .. } => ErrorClass::Environment,
            RpcError::Refused { status, .. } => match status.code() {
                Code::Internal | Code::InvalidArgument | Code::Unimplemented => ErrorClass::Bug,
                _ => ErrorClass::Environment,
            },
        }
    }
}

/// The message, and the innermost reason where it is not part of it ("connection refused").
pub(crate) fn said(status: &Status) -> String {
    let mut text = match status.message() {
        "" => status.code().to_string(),
        message => message.to_owned(),
    };
    let mut innermost = status.source();
    while let Some(deeper) = innermost.and_then(Error::source) {
        innermost = Some(deeper);
    }
    if let Some(innermost) = innermost.map(ToString::to_string)
        && !text.contains(&innermost)
    {
        text = format!("{text}: {innermost}");
    }
    text
}
