//! `drctl sandbox lag`.

use std::fmt::Write as _;

use clap::Args;

use super::super::error::{CliError, Exit};
use super::super::output::Output;
use super::region::seconds;
use drctl_sandbox::{Control, Lag, LagOrder, LagOrders, Pending, ReplicationState};

const HELP: &str = "\
Examples:
  drctl sandbox lag dynamodb 5s      a write to a table arrives in the other Region after 5 seconds
  drctl sandbox lag s3 2m            an object after 2 minutes
  drctl sandbox lag aurora 5s        a row after 5 seconds
  drctl sandbox lag dynamodb usual   as long as it usually takes
  drctl sandbox lag                  shows the lags, and what is on its way";

/// `drctl sandbox lag`
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct LagArgs {
    /// aurora, dynamodb, s3, or secretsmanager; without it, the lags and what is on its way are shown
    #[arg(value_name = "SERVICE", requires = "lag")]
    service: Option<String>,
    /// How long its replication takes, e.g. 5s or 500ms; or `usual`
    #[arg(value_name = "TIME", value_parser = lag)]
    lag: Option<LagOrder>,
}

/// Reads a time, or `usual`.
fn lag(text: &str) -> Result<LagOrder, String> {
    match text {
        "usual" => Ok(LagOrder { lag: None }),
        _ => seconds(text).map(|lag| LagOrder { lag: Some(lag) }),
    }
}

/// Sets how long replication takes, or shows it.
pub(super) async fn set(control: &Control, args: &LagArgs, output: &Output) -> Result<Exit, CliError> {
    let state = match (&args.service, args.lag) {
        (Some(service), Some(lag)) => control.order_lags(&LagOrders::from([(service.clone(), lag)])).await?,
        _ => control.replication().await?,
    };
    if output.json {
        output.print_json(&serde_json::json!({ "replication": state }))?;
    } else {
        output.print(&text(&state))?;
    }
    Ok(Exit::Done)
}

/// The lags, and what is on its way: a line for each.
fn text(state: &ReplicationState) -> String {
    let mut text = String::new();
    for (service, lag) in &state.lags {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", lag_line(service, lag));
    }
    for pending in &state.pending {
        let _ = writeln!(text, "{}", pending_line(pending));
    }
    if state.pending.is_empty() {
        text.push_str("Nothing is on its way.\n");
    }
    text
}

fn lag_line(service: &str, Lag { lag, up_to, ordered }: &Lag) -> String {
    let is = match up_to {
        Some(up_to) => format!("{lag:.3} to {up_to:.3} s"),
        None => format!("{lag:.3} s"),
    };
    format!("{service}: {is}{}", if *ordered { ", as ordered" } else { "" })
}

fn pending_line(pending: &Pending) -> String {
    let Pending { account, service, from, to, subject, count, bytes, oldest } = pending;
    let subject = subject.values().map(String::as_str).collect::<Vec<_>>().join(" ");
    let writes = if *count == 1 { "write" } else { "writes" };
    format!(
        "{service} {subject}: {count} {writes} ({bytes} bytes) from {from} to {to}, \
         the oldest {oldest:.1} s old (account {account})"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_is_a_time_or_usual() {
        assert_eq!(lag("500ms"), Ok(LagOrder { lag: Some(0.5) }));
        assert_eq!(lag("usual"), Ok(LagOrder { lag: None }));
        assert!(lag("soon").is_err());
    }

    #[test]
    fn lags_and_what_is_on_its_way_are_shown() {
        let pending = Pending {
            account: "111122223333".to_owned(),
            service: "dynamodb".to_owned(),
            from: "us-east-1".to_owned(),
            to: "us-east-2".to_owned(),
            subject: [("TableName".to_owned(), "sessions".to_owned())].into(),
            count: 2,
            bytes: 512,
            oldest: 1.5,
        };
        let lags = [
            ("dynamodb".to_owned(), Lag { lag: 5.0, up_to: None, ordered: true }),
            ("s3".to_owned(), Lag { lag: 1.0, up_to: Some(15.0), ordered: false }),
        ];
        let state = ReplicationState { lags: lags.into(), pending: vec![pending] };
        assert_eq!(
            text(&state),
            "dynamodb: 5.000 s, as ordered\ns3: 1.000 to 15.000 s\n\
             dynamodb sessions: 2 writes (512 bytes) from us-east-1 to us-east-2, the oldest 1.5 s old \
             (account 111122223333)\n"
        );
    }
}
