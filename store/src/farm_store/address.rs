//! What the address of a store means.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{ObjectStore, RetryConfig};

use super::full_at_once::FullAtOnce;
use super::objects::Objects;
use crate::{Result, StoreError};

/// After this time no request is tried again. What a build waits for is then the worse of two evils: it goes on when
/// the store answers, or is told that it does not.
const RETRIED_FOR: Duration = Duration::from_secs(20);

/// How often at most.
const RETRIES: usize = 6;

/// What an address names.
pub(super) enum Address {
    Folder(PathBuf),
    Objects(Arc<Objects>),
}

/// Reads an address, and for an object store the environment.
pub(super) fn parse<'a>(
    url: &str,
    settings: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Address> {
    let refuse = |reason: String| StoreError::Address {
        url: url.to_owned(),
        reason,
    };
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(refuse("it has no scheme".to_owned()));
    };
    if scheme == "file" {
        return if rest.starts_with('/') {
            Ok(Address::Folder(PathBuf::from(rest)))
        } else {
            Err(refuse("the path of a folder begins with /".to_owned()))
        };
    }
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let settings: Vec<(&str, &str)> = settings.into_iter().collect();
    let built = match scheme {
        "s3" => s3(bucket, &settings),
        "gs" => gs(bucket, &settings),
        "az" => az(bucket, &settings),
        _ => return Err(refuse(format!("the scheme {scheme:?} is not known"))),
    };
    if bucket.is_empty() {
        return Err(refuse("it names no bucket".to_owned()));
    }
    let store = built.map_err(|e| refuse(e.to_string()))?;
    let prefix = Path::parse(prefix.trim_end_matches('/')).map_err(|e| refuse(e.to_string()))?;
    let url = url.trim_end_matches('/').to_owned();
    Ok(Address::Objects(Arc::new(Objects::new(store, prefix, url))))
}

type Built = object_store::Result<Box<dyn ObjectStore>>;

fn s3(bucket: &str, settings: &[(&str, &str)]) -> Built {
    provide_cryptography();
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_retry(retry())
        .with_http_connector(FullAtOnce::default());
    for (key, value) in settings {
        builder = builder.with_config(key.parse()?, *value);
    }
    // Who names an endpoint without TLS means it.
    let plain = builder
        .get_config_value(&AmazonS3ConfigKey::Endpoint)
        .is_some_and(|endpoint| endpoint.starts_with("http://"));
    if plain {
        builder = builder.with_allow_http(true);
    }
    Ok(Box::new(builder.build()?))
}

fn gs(bucket: &str, settings: &[(&str, &str)]) -> Built {
    provide_cryptography();
    let mut builder = GoogleCloudStorageBuilder::from_env()
        .with_bucket_name(bucket)
        .with_retry(retry())
        .with_http_connector(FullAtOnce::default());
    for (key, value) in settings {
        builder = builder.with_config(key.parse()?, *value);
    }
    Ok(Box::new(builder.build()?))
}

fn az(container: &str, settings: &[(&str, &str)]) -> Built {
    provide_cryptography();
    let mut builder = MicrosoftAzureBuilder::from_env()
        .with_container_name(container)
        .with_retry(retry())
        .with_http_connector(FullAtOnce::default());
    for (key, value) in settings {
        builder = builder.with_config(key.parse()?, *value);
    }
    Ok(Box::new(builder.build()?))
}

fn retry() -> RetryConfig {
    RetryConfig {
        max_retries: RETRIES,
        retry_timeout: RETRIED_FOR,
        ..RetryConfig::default()
    }
}

/// The HTTP client takes the cryptography of the process. Where there is one already, that one serves.
fn provide_cryptography() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
