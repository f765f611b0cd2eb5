//! A network that breaks when it is told to.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Forwards connections to a farm.
pub struct Proxy {
    pub address: SocketAddr,
    traffic: Arc<Traffic>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Traffic {
    /// After how many bytes, in both directions, each of the next connections is cut. Further ones are left alone.
    cuts: Mutex<VecDeque<u64>>,
    connections: AtomicU64,
    bytes: AtomicU64,
}

impl Proxy {
    pub async fn to(farm: SocketAddr, cuts: &[u64]) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let traffic = Arc::new(Traffic {
            cuts: Mutex::new(cuts.iter().copied().collect()),
            ..Traffic::default()
        });
        let shared = Arc::clone(&traffic);
        let accepting = tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let far = TcpStream::connect(farm).await.unwrap();
                shared.connections.fetch_add(1, Ordering::SeqCst);
                let left = shared.cuts.lock().unwrap().pop_front();
                let left = Arc::new(AtomicU64::new(left.unwrap_or(u64::MAX)));
                let (cut, _) = watch::channel(());
                let cut = Arc::new(cut);
                let ((from_near, to_near), (from_far, to_far)) =
                    (near.into_split(), far.into_split());
                for (from, to) in [(from_near, to_far), (from_far, to_near)] {
                    let line = (Arc::clone(&shared), Arc::clone(&left), Arc::clone(&cut));
                    tokio::spawn(forward(from, to, line));
                }
            }
        });
        Proxy {
            address,
            traffic,
            accepting,
        }
    }

    pub fn connections(&self) -> u64 {
        self.traffic.connections.load(Ordering::SeqCst)
    }

    pub fn bytes(&self) -> u64 {
        self.traffic.bytes.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

type Line = (Arc<Traffic>, Arc<AtomicU64>, Arc<watch::Sender<()>>);

/// Ends when either side does, or the budget of both directions is used up.
async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, line: Line) {
    let (traffic, left, cut) = line;
    let mut was_cut = cut.subscribe();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read.unwrap_or(0),
            _ = was_cut.changed() => 0,
        };
        let before = left.fetch_sub(read as u64, Ordering::SeqCst);
        if read == 0 || (read as u64) >= before {
            let _ = cut.send(());
            return;
        }
        traffic.bytes.fetch_add(read as u64, Ordering::SeqCst);
        if to.write_all(&buffer[..read]).await.is_err() {
            let _ = cut.send(());
            return;
        }
    }
}
