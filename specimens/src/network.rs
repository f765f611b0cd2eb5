//! The hosts that a specimen reaches: a server of this process answers for all of them.
//!
//! cmd/go sends passwords of a netrc file over https only (cmd/go/internal/web/http.go), so they are https hosts. It reaches them by
//! way of an HTTP proxy (HTTPS_PROXY), which is the server itself: names of hosts need no resolver, and no port is in any file.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// The hosts that it answers for.
const HOSTS: &str = "*.example.com";
/// A connection that is silent for so long is over.
const SILENCE: Duration = Duration::from_secs(20);
/// Lines of a request and their end.
const MOST_OF_A_HEAD: usize = 64 << 10;

/// A server that runs until it is dropped.
///
/// The files of a host are below `hosts/HOST`. Where `accounts/HOST` holds a name and a password, it wants these.
#[derive(Debug)]
pub(crate) struct Network {
    address: SocketAddr,
    /// In PEM.
    certificate: String,
    stopped: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

/// What a connection needs.
struct Site {
    root: PathBuf,
    config: Arc<ServerConfig>,
}

impl Network {
    /// Over the files in this folder.
    pub fn of(root: &Path) -> io::Result<Network> {
        let made =
            rcgen::generate_simple_self_signed([HOSTS.to_owned()]).map_err(io::Error::other)?;
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], PrivateKeyDer::Pkcs8(key))
            .map_err(io::Error::other)?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let stopped = Arc::new(AtomicBool::new(false));
        let site = Arc::new(Site {
            root: root.to_owned(),
            config: Arc::new(config),
        });
        let told = stopped.clone();
        let accepting = thread::spawn(move || {
            for stream in listener.incoming() {
                if told.load(Ordering::Relaxed) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let site = site.clone();
                // A client that goes away is no concern of anybody.
                thread::spawn(move || site.serve(stream));
            }
        });
        Ok(Network {
            address,
            certificate: made.cert.pem(),
            stopped,
            accepting: Some(accepting),
        })
    }

    /// The proxy by way of which the hosts are reached.
    pub fn proxy(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What is to be trusted, in PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // It waits for a connection.
        if TcpStream::connect(self.address).is_ok()
            && let Some(accepting) = self.accepting.take()
        {
            let _ = accepting.join();
        }
    }
}

impl Site {
    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(SILENCE))?;
        let head = read_head(&mut stream)?;
        let mut words = head.split_whitespace();
        let (Some("CONNECT"), Some(target)) = (words.next(), words.next()) else {
            return stream
                .write_all(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n");
        };
        let host = target.split(':').next().unwrap_or_default().to_owned();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        let connection = ServerConnection::new(self.config.clone()).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, stream);
        let head = read_head(&mut stream)?;
        let (status, body) = self.answer(&host, &head);
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(&body)?;
        stream.conn.send_close_notify();
        stream.flush()
    }

    fn answer(&self, host: &str, head: &str) -> (&'static str, Vec<u8>) {
        let mut lines = head.lines();
        let path = lines.next().unwrap_or_default().split(' ').nth(1);
        let path = path.unwrap_or_default().split('?').next();
        let path = path.unwrap_or_default().trim_start_matches('/');
        let steps_out = |path: &str| path.split('/').any(|part| part == "..");
        if host.contains('/') || steps_out(host) || steps_out(path) {
            return ("400 Bad Request", Vec::new());
        }
        let authorization = lines.find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("authorization").then_some(value)
        });
        if let Ok(account) = fs::read_to_string(self.root.join("accounts").join(host)) {
            let account = account.split_whitespace().collect::<Vec<_>>().join(":");
            if authorization != Some(&format!("Basic {}", base64(account.as_bytes()))) {
                return ("401 Unauthorized", b"who are you?\n".to_vec());
            }
        }
        let file = self.root.join("hosts").join(host).join(path);
        let file = match file.is_dir() {
            true => file.join("index.html"),
            false => file,
        };
        match fs::read(file) {
            Ok(content) => ("200 OK", content),
            Err(_) => ("404 Not Found", b"there is no such thing\n".to_vec()),
        }
    }
}

/// All up to the empty line.
fn read_head(stream: &mut impl Read) -> io::Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
        if head.len() > MOST_OF_A_HEAD {
            return Err(io::Error::other("a request without an end"));
        }
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let number = three
            .iter()
            .chain([&0, &0])
            .take(3)
            .fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
        for at in 0..4 {
            let digit = DIGITS[(number >> (18 - 6 * at) & 63) as usize];
            out.push(if at <= three.len() {
                char::from(digit)
            } else {
                '='
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (text, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(text.as_bytes()), coded);
        }
    }
}
