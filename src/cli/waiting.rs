//! Says on stderr what is waited for, while nothing else is on the screen.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use console::Term;
use tokio::time::{Instant, sleep};

use super::output::Output;
use drctl_aws::Aws;
use drctl_engine::Region;

/// So long nobody notices.
const UNNOTICED: Duration = Duration::from_millis(400);

/// How often a terminal shows it anew.
const FRAME: Duration = Duration::from_secs(1);

/// Does something that asks AWS. When it takes a while, the Regions that have not answered are named: on a terminal in a line that
/// goes away, else once.
pub async fn watch<T>(output: &Output, aws: &Aws, work: impl Future<Output = T>) -> T {
    if output.json && !std::io::stderr().is_terminal() {
        return work.await;
    }
    let tell = async {
        let began = Instant::now();
        let mut line = Line::default();
        sleep(UNNOTICED).await;
        loop {
            line.show(&told(&aws.awaited(), began.elapsed(), line.changes));
            if !line.changes {
                std::future::pending::<()>().await;
            }
            sleep(FRAME).await;
        }
    };
    tokio::select! {
        biased;
        done = work => done,
        never = tell => never,
    }
}

fn told(regions: &[Region], since: Duration, changes: bool) -> String {
    let names: Vec<String> = regions.iter().map(ToString::to_string).collect();
    let whom = if names.is_empty() { "AWS".to_owned() } else { names.join(" and ") };
    if changes { format!("waiting for {whom} … {} s", since.as_secs()) } else { format!("waiting for {whom} …") }
}

/// The line. Dropped with what is waited for, however that ends.
struct Line {
    /// Whether it can be written over.
    changes: bool,
    shown: bool,
}

impl Default for Line {
    fn default() -> Self {
        Self { changes: Term::stderr().is_term() && !console::is_dumb(), shown: false }
    }
}

impl Line {
    fn show(&mut self, text: &str) {
        write(&if self.changes { format!("\r\x1b[2K{text}") } else { format!("{text}\n") });
        self.shown = true;
    }
}

/// When nobody listens there, what comes on stdout is left to tell.
fn write(text: &str) {
    let mut stderr = std::io::stderr().lock();
    drop(stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush()));
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.shown && self.changes {
            write("\r\x1b[2K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_not_answered_is_named() {
        let (east, west) = (Region::from("us-east-1"), Region::from("us-west-2"));
        let wait = Duration::from_millis(12_300);
        assert_eq!(told(&[east.clone(), west], wait, true), "waiting for us-east-1 and us-west-2 … 12 s");
        assert_eq!(told(&[east], wait, false), "waiting for us-east-1 …");
        assert_eq!(told(&[], wait, true), "waiting for AWS … 12 s");
    }
}
