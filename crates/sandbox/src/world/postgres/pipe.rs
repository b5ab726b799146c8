//! The connection between a standby and its primary, as the world between two Regions makes it.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use super::error::PostgresError;

/// How much is read at once.
const CHUNK: usize = 16 * 1024;

/// How many chunks may be under way in one direction: 64 MB. When they are, nothing more is read, so that what comes after
/// them is later than the lag.
const UNDER_WAY: usize = 4096;

/// What a client says first if it wants to replicate, in the packet that opens the connection.
const REPLICATION: &[u8] = b"replication\0";

/// What it says when the connection is set up, and changes are to follow.
const STREAMING: &[u8] = b"START_REPLICATION";

/// The state of a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Link {
    target: u16,
    lag: Duration,
    rate: Option<u64>,
    cut: bool,
}

/// A TCP connection on loopback that can be late, slow, or cut. All of that can be changed at any time.
///
/// A standby connects to the pipe's port, and the pipe to its target, the primary. Bytes keep their order, in both
/// directions. What is under way gets through even if the end that sent it is gone, and does not if the pipe is cut.
///
/// The setting up of a replication connection is not late: it consists of half a dozen questions and
/// answers, and a standby with a lag of 5 s would need a minute to come back after a cut. What is to be late are changes.
#[derive(Debug)]
pub struct Pipe {
    port: u16,
    link: watch::Sender<Link>,
    accepting: JoinHandle<()>,
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // The connections end with it: it owns their tasks.
        self.accepting.abort();
    }
}

impl Pipe {
    /// Opens a pipe to `target`, a port on loopback where nothing has to listen yet, without lag.
    ///
    /// # Errors
    ///
    /// When there is no port left to listen on.
    pub async fn open(target: u16) -> Result<Self, PostgresError> {
        let failed = || PostgresError::file("listen for the standby at", "127.0.0.1:0");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed())?;
        let port = listener.local_addr().map_err(failed())?.port();
        let (link, seen) = watch::channel(Link { target, lag: Duration::ZERO, rate: None, cut: false });
        let accepting = tokio::spawn(accept(listener, seen));
        Ok(Self { port, link, accepting })
    }

    /// The port that a standby connects to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Leads new connections to another port: to a primary that was restarted, or to another one.
    pub fn set_target(&self, target: u16) {
        self.link.send_modify(|link| link.target = target);
    }

    /// How late bytes are, in both directions; also of those that are under way.
    pub fn set_lag(&self, lag: Duration) {
        self.link.send_modify(|link| link.lag = lag);
    }

    /// How late bytes are.
    #[must_use]
    pub fn lag(&self) -> Duration {
        self.link.borrow().lag
    }

    /// How many bytes a second get through in each direction; `None` for as many as come.
    pub fn set_rate(&self, bytes_per_second: Option<u64>) {
        self.link.send_modify(|link| link.rate = bytes_per_second);
    }

    /// Ends all connections, with what is under way in them. New ones hang until [`Pipe::restore`]. When this function
    /// returns, nothing that is sent later gets through.
    pub fn cut(&self) {
        self.link.send_modify(|link| link.cut = true);
    }

    /// Lets connections through again, those that have been hanging included.
    pub fn restore(&self) {
        self.link.send_modify(|link| link.cut = false);
    }

    /// Whether the pipe is cut.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.link.borrow().cut
    }
}

async fn accept(listener: TcpListener, link: watch::Receiver<Link>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((standby, _)) => {
                    connections.spawn(carry(standby, link.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a pipe cannot accept a connection");
                    // Too many open files, most likely: others may be closed soon.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Carries one connection until one of its ends closes it, or until the pipe is cut.
async fn carry(standby: TcpStream, mut link: watch::Receiver<Link>) {
    let Some(target) = link.wait_for(|link| !link.cut).await.ok().map(|link| link.target) else { return };
    let primary = match TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await {
        Ok(primary) => primary,
        Err(error) => {
            tracing::debug!(%error, target, "the primary cannot be reached");
            return;
        }
    };
    for stream in [&standby, &primary] {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection may be later than the pipe's lag");
        }
    }
    let (from_standby, to_standby) = standby.into_split();
    let (from_primary, to_primary) = primary.into_split();
    let late = Arc::new(AtomicBool::new(true));
    let setup = Setup { late: Arc::clone(&late), is_first: true, tail: Vec::new() };
    let upwards = pump(from_standby, to_primary, link.clone(), Arc::clone(&late), Some(setup));
    let downwards = pump(from_primary, to_standby, link.clone(), late, None);
    tokio::select! {
        _ = async { tokio::join!(upwards, downwards) } => {}
        _ = link.wait_for(|link| link.cut) => {}
    }
}

/// Follows what a standby says, to know when a replication connection has been set up.
struct Setup {
    late: Arc<AtomicBool>,
    is_first: bool,
    /// The end of what was read before, in which the words may have begun.
    tail: Vec<u8>,
}

impl Setup {
    fn hear(&mut self, chunk: &[u8]) {
        if self.is_first {
            self.is_first = false;
            if contains(chunk, REPLICATION) {
                self.late.store(false, Ordering::Relaxed);
            }
        }
        if self.late.load(Ordering::Relaxed) {
            return;
        }
        self.tail.extend_from_slice(chunk);
        if contains(&self.tail, STREAMING) {
            self.late.store(true, Ordering::Relaxed);
        }
        let surplus = self.tail.len().saturating_sub(STREAMING.len());
        self.tail.drain(..surplus);
    }
}

fn contains(bytes: &[u8], words: &[u8]) -> bool {
    bytes.windows(words.len()).any(|window| window == words)
}

/// Carries bytes in one direction, until there are no more or one of the ends breaks.
async fn pump(
    mut from: OwnedReadHalf,
    to: OwnedWriteHalf,
    link: watch::Receiver<Link>,
    late: Arc<AtomicBool>,
    mut setup: Option<Setup>,
) {
    let (sender, receiver) = mpsc::channel(UNDER_WAY);
    let reading = async move {
        let mut buffer = vec![0; CHUNK];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let chunk = &buffer[..length];
            if let Some(setup) = &mut setup {
                setup.hear(chunk);
            }
            let chunk = Chunk { arrived: Instant::now(), late: late.load(Ordering::Relaxed), bytes: chunk.to_vec() };
            if sender.send(chunk).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(reading, deliver(receiver, to, link));
}

/// Some bytes under way.
struct Chunk {
    arrived: Instant,
    late: bool,
    bytes: Vec<u8>,
}

async fn deliver(mut chunks: mpsc::Receiver<Chunk>, mut to: OwnedWriteHalf, mut link: watch::Receiver<Link>) {
    // When the last piece was delivered, and its length: at a given rate, the next one follows after it.
    let mut last = (Instant::now(), 0);
    while let Some(chunk) = chunks.recv().await {
        let mut rest = chunk.bytes.as_slice();
        while !rest.is_empty() {
            let Some(piece) = wait(&chunk, rest.len(), last, &mut link).await else { return };
            let (now, later) = rest.split_at(piece);
            if to.write_all(now).await.is_err() {
                return;
            }
            last = (Instant::now(), piece);
            rest = later;
        }
    }
    // The other direction may go on.
    if let Err(error) = to.shutdown().await {
        tracing::trace!(%error, "a connection was closed already");
    }
}

/// Waits until the next piece of a chunk is due, whatever is changed in the meantime, and returns its length; `None` if
/// it must not be delivered any more.
async fn wait(chunk: &Chunk, rest: usize, last: (Instant, usize), link: &mut watch::Receiver<Link>) -> Option<usize> {
    loop {
        let now = *link.borrow_and_update();
        if now.cut {
            return None;
        }
        let lag = if chunk.late { now.lag } else { Duration::ZERO };
        let mut due = chunk.arrived + lag;
        let mut piece = rest;
        if let Some(rate) = now.rate {
            due = due.max(last.0 + duration_of(last.1, rate));
            // Twenty pieces a second, so that a slow pipe is slow and not jerky.
            piece = usize::try_from(rate / 20).unwrap_or(rest).clamp(1, rest);
        }
        if due <= Instant::now() {
            return Some(piece);
        }
        tokio::select! {
            () = tokio::time::sleep_until(due) => {}
            changed = link.changed() => changed.ok()?,
        }
    }
}

/// How long `bytes` take at `rate` bytes a second.
fn duration_of(bytes: usize, rate: u64) -> Duration {
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    Duration::from_micros(bytes.saturating_mul(1_000_000) / rate.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    /// A pipe, the standby's end of a connection through it, and the primary's.
    async fn connection() -> Result<(Pipe, TcpStream, TcpStream), Box<dyn std::error::Error>> {
        let primary = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let pipe = Pipe::open(primary.local_addr()?.port()).await?;
        let standby = TcpStream::connect((Ipv4Addr::LOCALHOST, pipe.port())).await?;
        let (accepted, _) = primary.accept().await?;
        Ok((pipe, standby, accepted))
    }

    async fn read(stream: &mut TcpStream, length: usize) -> std::io::Result<String> {
        let mut buffer = vec![0; length];
        stream.read_exact(&mut buffer).await?;
        Ok(String::from_utf8_lossy(&buffer).into_owned())
    }

    #[tokio::test]
    async fn bytes_are_late_by_the_lag_and_keep_their_order_in_both_directions() -> TestResult {
        let (pipe, mut standby, mut primary) = connection().await?;
        pipe.set_lag(Duration::from_millis(300));
        let started = Instant::now();
        standby.write_all(b"one").await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
        standby.write_all(b"two").await?;
        assert_eq!(read(&mut primary, 3).await?, "one");
        assert!(started.elapsed() >= Duration::from_millis(300), "{:?}", started.elapsed());
        assert_eq!(read(&mut primary, 3).await?, "two");
        assert!(started.elapsed() >= Duration::from_millis(400), "{:?}", started.elapsed());
        primary.write_all(b"answer").await?;
        assert_eq!(read(&mut standby, 6).await?, "answer");
        assert!(started.elapsed() >= Duration::from_millis(700), "{:?}", started.elapsed());
        Ok(())
    }

    #[tokio::test]
    async fn a_shorter_lag_holds_for_what_is_under_way() -> TestResult {
        let (pipe, mut standby, mut primary) = connection().await?;
        pipe.set_lag(Duration::from_mins(10));
        standby.write_all(b"one").await?;
        let early = tokio::time::timeout(Duration::from_millis(200), primary.peek(&mut [0])).await;
        assert!(early.is_err(), "it came at once");
        pipe.set_lag(Duration::from_millis(10));
        let read = tokio::time::timeout(Duration::from_secs(5), read(&mut primary, 3)).await??;
        assert_eq!(read, "one");
        Ok(())
    }

    #[tokio::test]
    async fn a_rate_is_kept_and_can_be_lifted() -> TestResult {
        let (pipe, mut standby, mut primary) = connection().await?;
        pipe.set_rate(Some(20_000));
        let started = Instant::now();
        standby.write_all(&[b'x'; 10_000]).await?;
        read(&mut primary, 10_000).await?;
        let took = started.elapsed();
        assert!(took > Duration::from_millis(300) && took < Duration::from_secs(5), "{took:?}");
        pipe.set_rate(Some(1));
        standby.write_all(&[b'x'; 10_000]).await?;
        pipe.set_rate(None);
        tokio::time::timeout(Duration::from_secs(5), read(&mut primary, 10_000)).await??;
        Ok(())
    }

    #[tokio::test]
    async fn a_cut_ends_connections_and_holds_new_ones_until_it_is_restored() -> TestResult {
        let primary = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let pipe = Pipe::open(primary.local_addr()?.port()).await?;
        let mut old = TcpStream::connect((Ipv4Addr::LOCALHOST, pipe.port())).await?;
        let (mut accepted, _) = primary.accept().await?;
        pipe.set_lag(Duration::from_millis(100));
        old.write_all(b"under way").await?;
        tokio::time::sleep(Duration::from_millis(30)).await;
        pipe.cut();
        let mut rest = Vec::new();
        // The end may be a reset, which is as final.
        let ended = tokio::time::timeout(Duration::from_secs(5), accepted.read_to_end(&mut rest)).await?;
        assert!(rest.is_empty(), "{ended:?}: {rest:?} got through");
        let mut new = TcpStream::connect((Ipv4Addr::LOCALHOST, pipe.port())).await?;
        new.write_all(b"later").await?;
        let hangs = tokio::time::timeout(Duration::from_millis(200), primary.accept()).await;
        assert!(hangs.is_err() && pipe.is_cut());
        pipe.restore();
        let (mut accepted, _) = tokio::time::timeout(Duration::from_secs(5), primary.accept()).await??;
        assert_eq!(read(&mut accepted, 5).await?, "later");
        Ok(())
    }

    #[tokio::test]
    async fn only_what_follows_the_set_up_of_a_replication_is_late() -> TestResult {
        let (pipe, mut standby, mut primary) = connection().await?;
        pipe.set_lag(Duration::from_millis(400));
        let started = Instant::now();
        for words in ["user\0drctl_admin\0replication\0true\0", "IDENTIFY_SYSTEM", "START_REPLI"] {
            standby.write_all(words.as_bytes()).await?;
            assert_eq!(read(&mut primary, words.len()).await?, words);
            primary.write_all(b"ok").await?;
            read(&mut standby, 2).await?;
        }
        assert!(started.elapsed() < Duration::from_millis(300), "{:?}", started.elapsed());
        standby.write_all(b"CATION 0/1").await?;
        read(&mut primary, 10).await?;
        primary.write_all(b"change").await?;
        read(&mut standby, 6).await?;
        assert!(started.elapsed() >= Duration::from_millis(800), "{:?}", started.elapsed());
        Ok(())
    }

    #[tokio::test]
    async fn a_direction_that_is_closed_does_not_close_the_other() -> TestResult {
        let (_pipe, mut standby, mut primary) = connection().await?;
        standby.write_all(b"question").await?;
        standby.shutdown().await?;
        let mut question = String::new();
        primary.read_to_string(&mut question).await?;
        primary.write_all(b"answer").await?;
        assert_eq!((question.as_str(), read(&mut standby, 6).await?.as_str()), ("question", "answer"));
        Ok(())
    }
}
