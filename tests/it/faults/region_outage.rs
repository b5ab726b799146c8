//! A Region that is gone: a proxy in front of the sandbox that never answers the calls to one Region.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use drctl_testkit::harness::endpoint;

/// Such a proxy, as an endpoint.
pub struct RegionOutage {
    pub url: String,
}

impl RegionOutage {
    pub fn of(region: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(client) = stream else { continue };
                std::thread::spawn(move || carry(&client, region));
            }
        });
        Self { url }
    }
}

/// Carries bytes both ways until the client names the Region: from then on, nothing is answered.
fn carry(client: &TcpStream, region: &str) {
    let Ok(server) = TcpStream::connect(endpoint().trim_start_matches("http://")) else { return };
    let (Ok(mut answers), Ok(mut back)) = (server.try_clone(), client.try_clone()) else { return };
    std::thread::spawn(move || {
        // Either side may close first.
        drop(std::io::copy(&mut answers, &mut back));
    });
    let (mut client, mut server) = (client, &server);
    let mut chunk = [0; 16384];
    let mut silent = false;
    while let Ok(read) = client.read(&mut chunk) {
        if read == 0 {
            break;
        }
        // The credential scope of a signed request names its Region.
        silent |= String::from_utf8_lossy(&chunk[..read]).contains(&format!("/{region}/"));
        if !silent && server.write_all(&chunk[..read]).is_err() {
            break;
        }
    }
    drop(server.shutdown(Shutdown::Both));
}
