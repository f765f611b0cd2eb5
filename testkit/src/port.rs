//! Ports of the loopback interface.

use std::net::TcpListener;

/// A port that nobody listens on just now. Between choosing it and listening there, somebody else may take it.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port of the loopback interface");
    listener.local_addr().expect("an address").port()
}
