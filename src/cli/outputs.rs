//! `drctl outputs`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::{Args, ValueEnum};

use super::args::Global;
use super::error::{CliError, Exit};
use super::hint;
use super::local::state_folder;
use super::output::Output;
use super::ui::Style;
use drctl_config::Config;
use drctl_engine::state::{Location, Snapshot};

/// `drctl outputs`
#[derive(Debug, Args)]
pub struct OutputsArgs {
    /// Output format
    #[arg(long, value_enum, default_value_t = OutputFormat::Json)]
    pub format: OutputFormat,
}

/// The format of `drctl outputs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// One flat JSON object.
    Json,
    /// `NAME='value'` lines for a shell.
    Env,
}

/// The outputs that are useful to other tools: type, name, and whether `up` shows it at its end.
const USEFUL: &[(&str, &str, bool)] = &[
    ("api", "endpoint", true),
    ("hosted_zone", "name_servers", true),
    ("global_cluster", "endpoint", true),
    ("db_cluster", "endpoint", true),
    ("db_cluster", "reader_endpoint", false),
    ("s3_bucket", "id", true),
    ("dynamodb_table", "id", true),
    ("secret", "arn", true),
    ("api", "id", false),
    ("api_domain", "target_domain", false),
    ("certificate", "arn", false),
    ("hosted_zone", "id", false),
    ("health_check", "id", false),
    ("lambda_function", "arn", false),
    ("dynamodb_table", "arn", false),
    ("dynamodb_table", "stream_arn", false),
    ("dynamodb_table", "replica_arn", false),
    ("s3_bucket", "arn", false),
    ("global_cluster", "arn", false),
    ("db_cluster", "arn", false),
    ("db_instance", "endpoint", false),
    ("secret", "replica_arn", false),
    ("sns_topic", "arn", false),
    ("kms_key", "arn", false),
    ("iam_role", "arn", false),
    ("log_group", "id", false),
    ("vpc", "id", false),
    ("subnet", "id", false),
    ("eip", "public_ip", false),
    ("route_table", "id", false),
    ("security_group", "id", false),
    ("vpc_endpoint", "id", false),
    ("vpc_peering", "id", false),
];

/// Prints what other tools need to know. Reads only the configuration and the state.
pub fn outputs(global: &Global, args: &OutputsArgs, output: &Output) -> Result<Exit, CliError> {
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
    let all = flat(&snapshot, &config);
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
fn flat(snapshot: &Snapshot, config: &Config) -> BTreeMap<String, String> {
    let identity = &snapshot.identity;
    let mut all = BTreeMap::from([
        ("stack".to_owned(), identity.stack.clone()),
        ("environment".to_owned(), identity.environment.clone()),
        ("account".to_owned(), identity.account.clone()),
        ("primary_region".to_owned(), identity.regions.primary.clone()),
        ("secondary_region".to_owned(), identity.regions.secondary.clone()),
        ("public_name".to_owned(), config.dns.public_name()),
    ]);
    all.extend(useful(snapshot, false));
    all
}

/// The useful outputs, all of them or only those that `up` shows, in the order of [`USEFUL`].
fn useful(snapshot: &Snapshot, of_up: bool) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (kind, output, _) in USEFUL.iter().filter(|(_, _, is_of_up)| *is_of_up || !of_up) {
        for (address, entry) in snapshot.resources.iter().filter(|(address, _)| address.kind() == *kind) {
            if let Some(value) = entry.output(output) {
                let key = format!("{}_{kind}_{}_{output}", address.role(), address.name()).replace('-', "_");
                found.push((key, value));
            }
        }
    }
    found
}

/// The outputs that `up` shows at its end.
pub fn of_up(snapshot: &Snapshot, config: &Config, style: &Style) -> String {
    let mut shown = vec![("public_name".to_owned(), config.dns.public_name())];
    shown.extend(useful(snapshot, true));
    let width = shown.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
    let mut text = format!("\n{}\n", style.bold(&hint::complete("Outputs (all of them: `drctl outputs`)")));
    for (key, value) in shown {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {key:width$} = {value}");
    }
    text
}
