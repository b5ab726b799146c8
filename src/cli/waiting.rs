//! Names the Regions that have not answered, on stderr, while there is no other output.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use console::Term;
use tokio::time::{Instant, sleep};

use super::output::Output;
use drctl_aws::Aws;
use drctl_engine::Region;

/// How long a wait may last without a word.
const UNNOTICED: Duration = Duration::from_millis(400);

/// How often the line is updated on a terminal.
const FRAME: Duration = Duration::from_secs(1);

/// Does work that calls AWS. If it takes a while, the Regions that have not answered are named: on a terminal in a line that is
/// updated and disappears, otherwise once.
pub async fn watch<T>(output: &Output, aws: &Aws, work: impl Future<Output = T>) -> T {
    if output.json && !std::io::stderr().is_terminal() {
        return work.await;
    }
    let show = async {
        let began = Instant::now();
        let mut line = Line::default();
        sleep(UNNOTICED).await;
        loop {
            line.show(&text(&aws.awaited(), began.elapsed(), line.is_updated));
            if !line.is_updated {
                std::future::pending::<()>().await;
            }
            sleep(FRAME).await;
        }
    };
    tokio::select! {
        biased;
        done = work => done,
        never = show => never,
    }
}

fn text(regions: &[Region], since: Duration, is_updated: bool) -> String {
    let names: Vec<String> = regions.iter().map(ToString::to_string).collect();
    let awaited = if names.is_empty() { "AWS".to_owned() } else { names.join(" and ") };
    if is_updated {
        format!("waiting for {awaited} … {} s", since.as_secs())
    } else {
        format!("waiting for {awaited} …")
    }
}

/// The line. It is dropped, and so disappears, when the work ends, however it ends.
struct Line {
    /// Whether it can be overwritten.
    is_updated: bool,
    is_shown: bool,
}

impl Default for Line {
    fn default() -> Self {
        Self { is_updated: Term::stderr().is_term() && !console::is_dumb(), is_shown: false }
    }
}

impl Line {
    fn show(&mut self, text: &str) {
        write(&if self.is_updated { format!("\r\x1b[2K{text}") } else { format!("{text}\n") });
        self.is_shown = true;
    }
}

/// Prints to stderr. If it cannot be written to, there is still the output on stdout.
fn write(text: &str) {
    let mut stderr = std::io::stderr().lock();
    drop(stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush()));
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.is_shown && self.is_updated {
            write("\r\x1b[2K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_regions_that_have_not_answered_are_named() {
        let (east, west) = (Region::from("us-east-1"), Region::from("us-west-2"));
        let wait = Duration::from_millis(12_300);
        assert_eq!(text(&[east.clone(), west], wait, true), "waiting for us-east-1 and us-west-2 … 12 s");
        assert_eq!(text(&[east], wait, false), "waiting for us-east-1 …");
        assert_eq!(text(&[], wait, true), "waiting for AWS … 12 s");
    }
}
