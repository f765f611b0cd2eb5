//! What became of a call, sorted: the answer of a farm, of something else, or none.

use std::error::Error;
use std::io;

use tonic::{Code, Status};

use crate::connection::Connection;
use crate::error::{RpcError, said};

impl Connection {
    /// Sorts what became of a call that tried to `what` ("find missing blobs").
    pub fn error(&self, what: &'static str, status: Status) -> RpcError {
        let address = self.addresses().clone();
        if let Some(reason) = distrust(&status) {
            return RpcError::Certificate { address, reason };
        }
        // With a source it is a failure of the connection, whatever code was made of it: no farm said so.
        if status.source().is_some() {
            return self.unreachable(what, said(&status));
        }
        if let Some(reason) = no_farm(&status) {
            return RpcError::NoFarm {
                what,
                address,
                reason,
            };
        }
        match status.code() {
            Code::Unauthenticated => RpcError::Token {
                address,
                sent: self.has_token(),
            },
            Code::Unavailable | Code::Aborted | Code::DeadlineExceeded | Code::Cancelled => {
                RpcError::NotNow {
                    what,
                    address,
                    reason: said(&status),
                }
            }
            Code::ResourceExhausted => RpcError::Full {
                what,
                address,
                reason: said(&status),
            },
            _ => RpcError::Refused {
                what,
                address,
                status: Box::new(status),
            },
        }
    }

    pub(crate) fn unreachable(&self, what: &'static str, reason: String) -> RpcError {
        RpcError::Unreachable {
            what,
            address: self.addresses().clone(),
            reason,
        }
    }
}

/// What an answer was that is none of gRPC's. It has no code of its own, so tonic derives one (`infer_grpc_status` in its status.rs),
/// or takes the first byte of a page for the flag of a message (`codec/decode.rs`). That of a gateway whose farm is away is not
/// meant: it comes back.
fn no_farm(status: &Status) -> Option<String> {
    const DERIVED: &str = "grpc-status header missing, mapped from ";
    const PAGE: &str = "invalid compression flag";
    let message = status.message();
    match status.code() {
        Code::Unavailable => None,
        _ if message.contains(PAGE) => Some("the answer is a page".to_owned()),
        _ => message.strip_prefix(DERIVED).map(str::to_owned),
    }
}

/// What TLS has against the peer, if that is why the connection failed. Trying again does not help.
fn distrust(status: &Status) -> Option<String> {
    let mut error = status.source();
    while let Some(current) = error {
        // An io::Error does not count what it carries among its sources.
        let carried = current
            .downcast_ref::<io::Error>()
            .and_then(|e| e.get_ref())
            .and_then(|e| e.downcast_ref::<rustls::Error>());
        match carried.or_else(|| current.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::InvalidMessage(_)) => {
                return Some("it does not speak TLS there".to_owned());
            }
            Some(tls) => return Some(tls.to_string()),
            None => error = current.source(),
        }
    }
    None
}
