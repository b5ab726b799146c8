//! `drctl sandbox region`.

use std::fmt::Write as _;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use super::super::error::{CliError, Exit};
use super::super::hint;
use super::super::output::Output;
use drctl_sandbox::{Control, Manner, RegionOrder, RegionOrders, RegionState};

const HELP: &str = "Examples:
  drctl sandbox region us-east-1 out                    us-east-1 stops answering
  drctl sandbox region us-east-1 out --for dynamodb     only its tables do not answer
  drctl sandbox region us-east-1 out --after 30s        in half a minute
  drctl sandbox region us-east-1 up                     it is back
  drctl sandbox region                                  shows what is in force, and what is to come";

/// `drctl sandbox region`
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct RegionArgs {
    /// The Region, e.g. us-east-1; without it, the Regions that are not up are shown
    #[arg(value_name = "REGION", requires = "state")]
    region: Option<String>,
    /// What happens to it
    #[arg(value_name = "STATE", value_parser = state())]
    state: Option<RegionState>,
    /// Only for these services, by their signing names, e.g. dynamodb [default: all of them]
    #[arg(long = "for", value_name = "SERVICE", num_args = 1.., value_delimiter = ',', requires = "state")]
    services: Vec<String>,
    /// When, e.g. 30s or 2m [default: now]
    #[arg(long, value_name = "TIME", value_parser = seconds, requires = "state")]
    after: Option<f64>,
    /// `slow`: how much later answers arrive, e.g. 500ms [default: 2s]
    #[arg(long, value_name = "TIME", value_parser = seconds, requires = "state")]
    by: Option<f64>,
    /// `out`: calls are not answered; this is the default
    #[arg(long, conflicts_with = "reset", requires = "state")]
    hang: bool,
    /// `out`: the connections of calls are reset
    #[arg(long, requires = "state")]
    reset: bool,
}

impl RegionArgs {
    fn order(&self) -> Option<(&str, RegionOrder)> {
        let manner = match (self.hang, self.reset) {
            (true, _) => Some(Manner::Hang),
            (_, true) => Some(Manner::Reset),
            (false, false) => None,
        };
        let (region, is) = (self.region.as_deref()?, self.state?);
        Some((region, RegionOrder { is, services: self.services.clone(), after: self.after, by: self.by, manner }))
    }
}

/// Reads the state. The crate of the sandbox has no command line, so the help for each value is here.
fn state() -> impl TypedValueParser<Value = RegionState> {
    let values = RegionState::ALL.map(|state| {
        PossibleValue::new(state.name()).help(match state {
            RegionState::Out => {
                "No service in the Region answers. If it is us-east-1, the global control planes do not answer either"
            }
            RegionState::Isolated => "It answers its clients, but has no connection to other Regions",
            RegionState::Slow => "Its answers arrive later",
            RegionState::Up => "It works again",
        })
    });
    PossibleValuesParser::new(values).try_map(|name| {
        RegionState::ALL.into_iter().find(|state| state.name() == name).ok_or_else(|| format!("no state is `{name}`"))
    })
}

/// Reads a time: `30s`, `500ms`, `2m`, or a number of seconds.
pub(super) fn seconds(text: &str) -> Result<f64, String> {
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0)];
    let found = units.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds)));
    let (number, unit) = found.unwrap_or((text, 1.0));
    match number.parse::<f64>() {
        Ok(number) if (0.0..=86400.0).contains(&(number * unit)) => Ok(number * unit),
        _ => Err("write a time of at most a day, e.g. 30s, 500ms, or 2m".to_owned()),
    }
}

/// Changes the condition of a Region, or shows those of all.
pub(super) async fn region(control: &Control, args: &RegionArgs, output: &Output) -> Result<Exit, CliError> {
    let orders = match args.order() {
        Some((region, order)) => control.order_region(region, &order).await?,
        None => control.regions().await?,
    };
    if output.json {
        output.print_json(&serde_json::json!({ "regions": orders }))?;
    } else if orders.is_empty() {
        output.print("All Regions are up.")?;
    } else {
        output.print(&text(&orders))?;
    }
    Ok(Exit::Done)
}

/// The Regions that are not up, or will not be: a line for each order.
pub(super) fn text(orders: &RegionOrders) -> String {
    let mut text = String::new();
    for (region, orders) in orders {
        for order in orders {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}", line(region, order));
        }
        let back = hint::complete(&format!("`drctl sandbox region {region} up`"));
        let _ = writeln!(text, "  {back} undoes it.");
    }
    text
}

fn line(region: &str, order: &RegionOrder) -> String {
    let is = match (order.is, order.manner) {
        (RegionState::Out, Some(Manner::Reset)) => "out: connections are reset".to_owned(),
        (RegionState::Out, _) => "out: calls are not answered".to_owned(),
        (RegionState::Isolated, _) => "isolated: no connection to other Regions".to_owned(),
        (RegionState::Slow, _) => format!("slow: answers arrive {} s later", order.by.unwrap_or_default()),
        (RegionState::Up, _) => "up".to_owned(),
    };
    let services = if order.services.is_empty() { String::new() } else { format!(" ({})", order.services.join(", ")) };
    match order.after {
        Some(after) => format!("{region}{services} will be {is}, in {after:.1} s"),
        None => format!("{region}{services} is {is}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, expected) in [("30s", 30.0), ("500ms", 0.5), ("2m", 120.0), ("1.5", 1.5), ("0", 0.0)] {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
        for wrong in ["", "s", "-1", "1h", "NaN", "inf", "1441m", "1 s "] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_order_is_shown_as_what_it_means() {
        let mut order = RegionOrder::new(RegionState::Out);
        assert_eq!(line("us-east-1", &order), "us-east-1 is out: calls are not answered");
        order.manner = Some(Manner::Reset);
        order.services = vec!["s3".to_owned(), "sts".to_owned()];
        order.after = Some(12.34);
        let expected = "us-east-1 (s3, sts) will be out: connections are reset, in 12.3 s";
        assert_eq!(line("us-east-1", &order), expected);
    }
}
