//! `drctl outputs`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::args::{Global, OutputFormat, Outputs};
use super::error::{CliError, Exit};
use super::output::Output;
use super::session::state_folder;
use super::ui::Style;
use crate::config::Config;
use crate::state::{Location, Snapshot};

/// Which output of which type is of use to others.
const USEFUL: &[(&str, &str)] = &[
    ("vpc", "id"),
    ("subnet", "id"),
    ("eip", "public_ip"),
    ("route_table", "id"),
    ("security_group", "id"),
    ("vpc_endpoint", "id"),
    ("vpc_peering", "id"),
    ("kms_key", "arn"),
    ("log_group", "id"),
    ("iam_role", "arn"),
];

/// The outputs shown at the end of `up`; `drctl outputs` has all of them.
const TELLING: &[&str] = &["vpc", "eip", "kms_key", "vpc_peering"];

/// Prints what other tools need to know. Asks nobody but the state.
pub fn outputs(global: &Global, args: &Outputs, output: &Output) -> Result<Exit, CliError> {
    let config = Config::load(global.config.as_deref(), global.environment.as_deref())?;
    let location = Location::new(&state_folder(global), &config.name());
    let snapshot = location.read()?.filter(|snapshot| !snapshot.resources.is_empty());
    let Some(snapshot) = snapshot else {
        return Err(CliError::Usage {
            message: format!(
                "{} has not been built: {} holds no resources",
                config.name(),
                location.snapshot().display()
            ),
            help: "Run `drctl up` first, or check --environment, --sandbox and --state-dir.".to_owned(),
        });
    };
    let all = flat(&snapshot);
    match args.format {
        OutputFormat::Json => {
            let text = serde_json::to_string_pretty(&all)
                .map_err(|e| CliError::Io { action: "write the outputs".into(), source: e.into() })?;
            output.print(&text)?;
        }
        OutputFormat::Env => {
            let mut text = String::new();
            for (key, value) in &all {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{}='{}'", key.to_uppercase(), value.replace('\'', r"'\''"));
            }
            output.print(&text)?;
        }
    }
    Ok(Exit::Done)
}

/// One flat map, `snake_case` keys, text values.
fn flat(snapshot: &Snapshot) -> BTreeMap<String, String> {
    let identity = &snapshot.identity;
    let mut all = BTreeMap::from([
        ("stack".to_owned(), identity.stack.clone()),
        ("environment".to_owned(), identity.environment.clone()),
        ("account".to_owned(), identity.account.clone()),
        ("primary_region".to_owned(), identity.regions.primary.clone()),
        ("secondary_region".to_owned(), identity.regions.secondary.clone()),
    ]);
    for (address, entry) in &snapshot.resources {
        for (kind, output) in USEFUL {
            if address.kind() != *kind {
                continue;
            }
            let value = match *output {
                "id" => entry.id.as_ref(),
                "arn" => entry.arn.as_ref(),
                other => entry.outputs.get(other),
            };
            if let Some(value) = value {
                let key = format!("{}_{kind}_{}_{output}", address.role(), address.name()).replace('-', "_");
                all.insert(key, value.clone());
            }
        }
    }
    all
}

/// The telling ones, for the end of `up`.
pub fn for_people(snapshot: &Snapshot, style: &Style) -> String {
    let all = flat(snapshot);
    let telling: Vec<_> = all
        .iter()
        .filter(|(key, _)| {
            TELLING
                .iter()
                .any(|kind| key.split_once('_').is_some_and(|(_, rest)| rest.starts_with(&format!("{kind}_"))))
        })
        .filter(|(key, _)| !key.contains("vpc_endpoint"))
        .collect();
    if telling.is_empty() {
        return String::new();
    }
    let width = telling.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
    let mut text = format!("\n{}\n", style.bold("Outputs (all of them: drctl outputs)"));
    for (key, value) in telling {
        let _ = writeln!(text, "  {key:width$} = {value}");
    }
    text
}
