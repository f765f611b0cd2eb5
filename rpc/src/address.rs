//! Where a farm is.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use tonic::transport::Uri;

use crate::error::RpcError;

/// The address of a farm: `http://host:port`, or `https://host:port` for TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FarmAddress {
    // Shared, since every error carries it.
    uri: Arc<Uri>,
}

impl FarmAddress {
    /// True when the connection is to be encrypted.
    pub fn is_tls(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }

    /// True when the farm runs on this machine, as far as the address says: then bytes cost nothing to send, and
    /// compressing them does.
    pub fn is_loopback(&self) -> bool {
        let host = self.uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || host
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }
}

impl FromStr for FarmAddress {
    type Err = RpcError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |reason: &str| RpcError::Address {
            text: text.to_owned(),
            reason: reason.to_owned(),
        };
        let uri: Uri = text.parse().map_err(|e| refuse(&format!("{e}")))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(refuse("it does not begin with http:// or https://"));
        }
        if uri.host().is_none_or(str::is_empty) {
            return Err(refuse("it names no host"));
        }
        if uri.path_and_query().is_some_and(|path| path != "/") {
            return Err(refuse("it has a path, and a farm has none"));
        }
        Ok(FarmAddress { uri: Arc::new(uri) })
    }
}

impl fmt::Display for FarmAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.uri.to_string().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_say_whether_they_are_here_and_encrypted() {
        for (text, loopback, tls) in [
            ("http://localhost:8980", true, false),
            ("http://127.0.0.1:8980/", true, false),
            ("https://[::1]:8980", true, true),
            ("https://farm.example.com", false, true),
            ("http://10.0.0.1:1", false, false),
        ] {
            let address: FarmAddress = text.parse().unwrap();
            assert_eq!(address.is_loopback(), loopback, "{text}");
            assert_eq!(address.is_tls(), tls, "{text}");
            assert_eq!(address.to_string(), text.trim_end_matches('/'));
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_form_of_one() {
        for text in ["", "farm:8980", "redis://farm", "http://farm/x", "http://"] {
            let error = text.parse::<FarmAddress>().unwrap_err().to_string();
            assert!(error.contains("http://host:port"), "{text:?}: {error}");
        }
    }
}
