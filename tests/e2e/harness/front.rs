//! One address for several servers, as a load balancer gives them.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Forwards each connection to the next server that takes it. Lives as long as the process of the tests.
pub struct Front {
    pub port: u16,
}

impl Front {
    /// On this machine.
    pub fn new(servers: Vec<u16>) -> Front {
        Front::at(TcpListener::bind("127.0.0.1:0").unwrap(), servers)
    }

    /// For those who reach this listener.
    pub fn at(listener: TcpListener, servers: Vec<u16>) -> Front {
        let port = listener.local_addr().unwrap().port();
        let next = Arc::new(AtomicUsize::new(0));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let first = next.fetch_add(1, Ordering::Relaxed);
                let server = (0..servers.len())
                    .map(|i| servers[(first + i) % servers.len()])
                    .find_map(|port| TcpStream::connect(("127.0.0.1", port)).ok());
                if let Some(server) = server {
                    join(client, server);
                }
            }
        });
        Front { port }
    }
}

fn join(client: TcpStream, server: TcpStream) {
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    for (mut from, mut to) in [
        (client.try_clone().unwrap(), server.try_clone().unwrap()),
        (server, client),
    ] {
        thread::spawn(move || {
            let _ = pass(&mut from, &mut to);
            // The end of one direction is the end of the connection.
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
        });
    }
}

fn pass(from: &mut TcpStream, to: &mut TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            read => to.write_all(&buffer[..read])?,
        }
    }
}
