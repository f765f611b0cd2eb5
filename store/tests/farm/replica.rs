//! A scheduler process, as far as its store goes.

use std::time::Duration;

use gofarm_proto::{Digest, v1};
use gofarm_store::{DiskStore, DiskStoreOptions, FarmStore};
use gofarm_testkit::S3Server;
use tempfile::TempDir;

/// A replica with a folder of its own over a bucket that others use, too.
pub struct Replica {
    pub store: FarmStore,
    pub _folder: TempDir,
}

impl Replica {
    pub fn of(s3: &S3Server) -> Replica {
        let folder = tempfile::tempdir().unwrap();
        let local = DiskStore::open(folder.path(), DiskStoreOptions::default()).unwrap();
        let endpoint = s3.endpoint();
        let settings = S3Server::credentials()
            .into_iter()
            .chain([("aws_endpoint", endpoint.as_str())]);
        Replica {
            store: FarmStore::open_with("s3://farm/some/prefix", local, settings).unwrap(),
            _folder: folder,
        }
    }
}

/// The object of a blob, below the bucket.
pub fn blob(digest: &Digest) -> String {
    let hex = digest.hex();
    format!("some/prefix/cas/{}/{hex}", &hex[..2])
}

/// Bytes that no two seeds have in common and that do not compress.
pub fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

pub fn result(outputs: &[(&str, Digest)]) -> v1::ActionResult {
    v1::ActionResult {
        outputs: outputs
            .iter()
            .map(|(name, digest)| v1::OutputFile {
                name: (*name).to_owned(),
                digest: Some((*digest).into()),
                executable: false,
            })
            .collect(),
        ..v1::ActionResult::default()
    }
}

/// A test that hangs says so.
pub async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), work)
        .await
        .unwrap()
}
