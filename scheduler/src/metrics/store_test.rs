//! How often a store is asked whether it answers.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gofarm_proto::Digest;
use gofarm_store::{DiskStore, DiskStoreOptions, FarmStore};

use super::MeteredStore;

/// An object store that has nothing but its format, and counts who asks for that.
#[derive(Default)]
struct Bucket {
    asked: AtomicUsize,
    refuses: AtomicBool,
}

impl Bucket {
    fn serve(self: &Arc<Bucket>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let bucket = self.clone();
        // Ends with the test's process.
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                bucket.answer(connection);
            }
        });
        address
    }

    fn answer(&self, mut connection: TcpStream) {
        let mut lines = BufReader::new(connection.try_clone().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        // To the empty line.
        for _ in lines.take_while(|line| line.as_ref().is_ok_and(|line| !line.is_empty())) {}
        let format = first.starts_with("GET") && first.contains("/format");
        self.asked.fetch_add(usize::from(format), Ordering::SeqCst);
        let (status, body) = match (self.refuses.load(Ordering::SeqCst), format) {
            (true, _) => ("403 Forbidden", ""),
            (false, true) => ("200 OK", "gofarm store 1\n"),
            (false, false) => ("404 Not Found", ""),
        };
        let _ = write!(
            connection,
            "HTTP/1.1 {status}\r\nETag: \"e\"\r\nLast-Modified: Tue, 15 Nov 1994 12:45:26 GMT\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_store_is_asked_once_a_minute_and_at_once_when_a_call_has_failed() {
    let bucket = Arc::new(Bucket::default());
    let address = bucket.serve();
    let folder = tempfile::tempdir().unwrap();
    let local = DiskStore::open(folder.path(), DiskStoreOptions::default()).unwrap();
    let settings = [
        ("aws_access_key_id", "id"),
        ("aws_secret_access_key", "secret"),
        ("aws_region", "us-east-1"),
        ("aws_endpoint", address.as_str()),
    ];
    let store = FarmStore::open_with("s3://farm", local, settings).unwrap();
    let store = MeteredStore::from(store);
    let begun = Instant::now();
    let after = |seconds: u64| begun + Duration::from_secs(seconds);

    // Three minutes of a readiness that asks every second.
    for second in 0..180 {
        store.probe_at(after(second)).await.unwrap();
    }
    assert_eq!(bucket.asked(), 3);

    // A failed call, whoever made it: the next question is a real one, and so is each until there is an answer.
    bucket.refuses.store(true, Ordering::SeqCst);
    let missing = store.missing(vec![Digest::of(b"x")]).await;
    missing.unwrap_err();
    for second in 180..183 {
        store.probe_at(after(second)).await.unwrap_err();
    }
    assert_eq!(bucket.asked(), 6);
    bucket.refuses.store(false, Ordering::SeqCst);
    for second in 183..243 {
        store.probe_at(after(second)).await.unwrap();
    }
    assert_eq!(bucket.asked(), 7);
    store.probe_at(after(243)).await.unwrap();
    assert_eq!(bucket.asked(), 8);
}

#[tokio::test]
async fn a_folder_is_looked_at_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let local = DiskStore::open(folder.path(), DiskStoreOptions::default()).unwrap();
    let store = MeteredStore::from(FarmStore::on_disk(local));
    let now = Instant::now();
    store.probe_at(now).await.unwrap();
    // A folder where nobody can look any more, as after an unmounted disk.
    std::fs::remove_dir_all(folder.path().join("cas")).unwrap();
    std::fs::write(folder.path().join("cas"), b"").unwrap();
    store.probe_at(now).await.unwrap_err();
}
