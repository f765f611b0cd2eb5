//! An object store that has no room.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use gofarm_store::{DiskStore, DiskStoreOptions, FarmStore};

use crate::replica::{noise, soon};

/// Answers what stores something with these statuses, one after the other, and then well.
struct Server {
    address: String,
    asked: Arc<AtomicUsize>,
}

impl Server {
    fn start(statuses: &[&'static str]) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let left: Vec<&str> = statuses.iter().rev().copied().collect();
        let (left, count) = (Arc::new(Mutex::new(left)), asked.clone());
        // Ends with the test's process.
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (left, count) = (left.clone(), count.clone());
                std::thread::spawn(move || answer(connection, &left, &count));
            }
        });
        Server { address, asked }
    }

    fn store(&self, folder: &tempfile::TempDir) -> FarmStore {
        let local = DiskStore::open(folder.path(), DiskStoreOptions::default()).unwrap();
        let settings = [
            ("aws_access_key_id", "id"),
            ("aws_secret_access_key", "secret"),
            ("aws_region", "us-east-1"),
            ("aws_endpoint", self.address.as_str()),
        ];
        FarmStore::open_with("s3://farm", local, settings).unwrap()
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// One request of a connection.
fn answer(mut connection: TcpStream, left: &Mutex<Vec<&'static str>>, count: &AtomicUsize) {
    let mut lines = BufReader::new(connection.try_clone().unwrap());
    let (mut first, mut length) = (String::new(), 0);
    lines.read_line(&mut first).unwrap();
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).unwrap() == 0 || line == "\r\n" {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    lines.read_exact(&mut body).unwrap();
    let stores = first.starts_with("PUT") || first.starts_with("POST");
    let status = match stores {
        true => {
            count.fetch_add(1, Ordering::SeqCst);
            left.lock().unwrap().pop().unwrap_or("200 OK")
        }
        false => "404 Not Found",
    };
    let body = match status {
        "200 OK" => "",
        _ => "<Error><Code>Said</Code></Error>",
    };
    let _ = write!(
        connection,
        "HTTP/1.1 {status}\r\nETag: \"e\"\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_object_store_is_asked_once_and_says_so() {
    // One that goes in one request, and one that goes in parts.
    for size in [100, 20 << 20] {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(&["507 Insufficient Storage"; 10]);
        let store = server.store(&folder);
        let error = soon(store.put_bytes(noise(7, size))).await.unwrap_err();
        assert!(error.is_full(), "{error}");
        assert_eq!(server.asked(), 1, "{size}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_trouble_of_an_object_store_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&["503 Service Unavailable", "500 Internal Server Error"]);
    let store = server.store(&folder);
    soon(store.put_bytes(noise(7, 100))).await.unwrap();
    assert_eq!(server.asked(), 3);
}
