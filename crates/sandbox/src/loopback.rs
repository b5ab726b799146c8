//! One short HTTP exchange with a process on this machine.
//!
//! The proxy's pooled client is for traffic. Asking whether a process is there is also done by the synchronous
//! `status`, and needs no connection that is kept: a socket with a time limit is enough and cannot hang.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// The answer.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// Sends `method path` with a body to `port` on loopback.
pub(super) fn exchange(port: u16, method: &str, path: &str, body: &str, limit: Duration) -> io::Result<Exchange> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    // HTTP/1.0, because its answer ends with the connection and is never chunked.
    let length = body.len();
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {length}\r\n\r\n{body}")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    parse(&answer).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP"))
}

/// [`exchange`] for asynchronous callers.
pub(super) async fn exchange_async(
    port: u16,
    method: &'static str,
    path: &'static str,
    body: String,
    limit: Duration,
) -> io::Result<Exchange> {
    tokio::task::spawn_blocking(move || exchange(port, method, path, &body, limit)).await.map_err(io::Error::other)?
}

fn parse(answer: &[u8]) -> Option<Exchange> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let status_line = head.lines().next()?;
    let mut words = status_line.split_ascii_whitespace();
    if !words.next()?.starts_with("HTTP/1.") {
        return None;
    }
    let status = words.next()?.parse().ok()?;
    Some(Exchange { status, body: answer[end + 4..].to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_parsed_and_anything_else_is_not() {
        let exchange = parse(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
        assert!(exchange.is_some_and(|exchange| exchange.status == 200 && exchange.body == b"{}"));
        assert!(parse(b"SSH-2.0-OpenSSH\r\n\r\n").is_none());
        assert!(parse(b"HTTP/1.1 200").is_none());
    }
}
