//! Where a farm is.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use tonic::transport::Uri;

/// A text is no address of a farm.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot use {text:?} as the address of a farm: {reason}; write http://host:port, or https://host:port"
)]
pub struct AddressError {
    text: String,
    reason: String,
}

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
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |reason: &str| AddressError {
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

/// The addresses of one farm: those of the replicas of its scheduler, each of which serves every call. At least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FarmAddresses {
    addresses: Arc<[FarmAddress]>,
}

impl FarmAddresses {
    /// Each of them, as they were written.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &FarmAddress> {
        self.addresses.iter()
    }

    /// True when all of the farm runs on this machine. See [`FarmAddress::is_loopback`].
    pub fn is_loopback(&self) -> bool {
        self.iter().all(FarmAddress::is_loopback)
    }
}

/// Separated by commas; white space around them does not count, and neither does an address that is written again.
impl FromStr for FarmAddresses {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut addresses: Vec<FarmAddress> = Vec::new();
        for one in text.split(',') {
            let address = one.trim().parse()?;
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Ok(FarmAddresses {
            addresses: addresses.into(),
        })
    }
}

/// All of them, separated by commas.
impl fmt::Display for FarmAddresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, address) in self.iter().enumerate() {
            let comma = if number > 0 { ", " } else { "" };
            write!(f, "{comma}{address}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_farm_has_as_many_addresses_as_were_written() {
        let several: FarmAddresses = "http://127.0.0.1:1, https://b:2/,http://127.0.0.1:1"
            .parse()
            .unwrap();
        assert_eq!(several.to_string(), "http://127.0.0.1:1, https://b:2");
        assert!(!several.is_loopback());
        for text in ["", ",", "http://a:1,", "http://a:1,b:2"] {
            let error = text.parse::<FarmAddresses>().unwrap_err().to_string();
            assert!(error.contains("http://host:port"), "{text:?}: {error}");
        }
    }

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
