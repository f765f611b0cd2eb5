//! A farm that has blobs and nothing else, and a client of it.

use std::net::SocketAddr;
use std::time::Duration;

use gofarm_proto::Digest;
use gofarm_rpc::{BlobClient, Compression, ConnectOptions, Connection, Progress};
use gofarm_scheduler::blobs::BlobsService;
use gofarm_store::{DiskStore, DiskStoreOptions, FarmStore};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;

pub struct Farm {
    pub store: FarmStore,
    pub address: SocketAddr,
    server: JoinHandle<()>,
    _folder: TempDir,
}

impl Farm {
    pub async fn start() -> Farm {
        let (store, folder) = store();
        let store = FarmStore::on_disk(store);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = BlobsService::new(store.clone()).into_server();
        let server = Server::builder().add_service(service);
        let server = server.serve_with_incoming(TcpListenerStream::new(listener));
        Farm {
            store,
            address,
            server: tokio::spawn(async move { server.await.unwrap() }),
            _folder: folder,
        }
    }

    pub fn client(&self) -> BlobClient {
        client(self.address)
    }
}

impl Drop for Farm {
    fn drop(&mut self) {
        self.server.abort();
    }
}

pub fn client(address: SocketAddr) -> BlobClient {
    BlobClient::new(connection(address))
}

pub fn packing_client(address: SocketAddr) -> BlobClient {
    BlobClient::with_compression(connection(address), Compression::Always)
}

pub fn connection(address: SocketAddr) -> Connection {
    Connection::connect(&format!("http://{address}"), ConnectOptions::default()).unwrap()
}

pub fn store() -> (DiskStore, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = DiskStore::open(folder.path(), DiskStoreOptions::default()).unwrap();
    (store, folder)
}

/// Later than any test should need.
pub fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

pub fn quietly(_: Progress) {}

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

/// Changes a stored blob without breaking its seal, as a bad disk does.
pub fn spoil(store: &DiskStore, digest: &Digest) {
    let path = store.path(digest);
    let seal = std::fs::metadata(&path).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, bytes).unwrap();
    let file = std::fs::File::open(&path).unwrap();
    file.set_permissions(seal.permissions()).unwrap();
    file.set_modified(seal.modified().unwrap()).unwrap();
}
