//! `[alerts]`: who receives alarms, at which thresholds, and how long logs are kept.

use std::collections::HashSet;

use serde::Serialize;

use super::dns::domain_fault;
use super::error::Problem;
use super::section::Section;

/// The recipients of alarms, their thresholds, and the retention of logs. Counts are per minute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alerts {
    /// The e-mail addresses that receive the alarms of both Regions; AWS asks each one to confirm. Default: none.
    pub emails: Vec<String>,
    /// How many days log groups keep their entries: one of the numbers that the service accepts. Default 30.
    pub log_retention_days: u32,
    /// Failed executions of the function per minute. Default 5.
    pub lambda_errors: u32,
    /// Throttled executions per minute. Default 1: each one is a payment that was turned away.
    pub lambda_throttles: u32,
    /// 99th percentile of the execution duration, in milliseconds. Default 5000.
    pub lambda_p99_ms: u32,
    /// 5xx answers of the API per minute. Default 5.
    pub api_errors: u32,
    /// 99th percentile of the request latency, in milliseconds. Default 6000.
    pub api_p99_ms: u32,
    /// Replication lag of the sessions table between the Regions, in seconds. Default 30.
    pub dynamodb_lag_seconds: u32,
    /// Replication lag of the buckets, in seconds. Default 900, which S3's replication time control promises.
    pub s3_lag_seconds: u32,
    /// Replication lag of the database (what a failover would lose now), in seconds. Default 60.
    pub aurora_lag_seconds: u32,
}

impl Alerts {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        let emails = emails(section);
        let log_retention_days = log_retention(section);

        let count = "the threshold is 1 to 1000000 events per minute";
        let duration = "an HTTP API times out after 30 seconds, so no request takes longer";
        let lag =
            "above 900 seconds, an alarm would come after the recovery point objective of 15 minutes has been missed";
        let mut number = |key, default, most, why| section.integer(key, default, 1..=most, why).value;
        Self {
            emails,
            log_retention_days,
            lambda_errors: number("lambda_errors", 5, 1_000_000, count),
            lambda_throttles: number("lambda_throttles", 1, 1_000_000, count),
            lambda_p99_ms: number("lambda_p99_ms", 5000, 30_000, duration),
            api_errors: number("api_errors", 5, 1_000_000, count),
            api_p99_ms: number("api_p99_ms", 6000, 30_000, duration),
            dynamodb_lag_seconds: number("dynamodb_lag_seconds", 30, 900, lag),
            s3_lag_seconds: number("s3_lag_seconds", 900, 900, lag),
            aurora_lag_seconds: number("aurora_lag_seconds", 60, 900, lag),
        }
    }
}

fn emails(section: &mut Section<'_, '_>) -> Vec<String> {
    let mut addresses: Vec<String> = Vec::new();
    let mut seen = HashSet::new();
    for given in section.list("emails", "oncall@your-company.com", email) {
        if seen.insert(given.value.clone()) {
            addresses.push(given.value);
        } else if let Some(span) = given.span() {
            section.refuse(
                Problem::new(
                    format!("{} is listed twice, and SNS subscribes an address only once", given.value),
                    "Remove one of the two.",
                )
                .at(span),
            );
        }
    }
    addresses
}

/// Source: RFC 5321, 4.5.3.1, and the characters of RFC 5322 that need no quotes.
fn email(text: &str) -> Result<String, Problem> {
    let is_local = |local: &str| {
        (1..=64).contains(&local.len())
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..")
            && local.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".!#$%&'*+-/=?^_`{|}~".contains(&byte))
    };
    let is_address = |address: &str| {
        address.len() <= 254
            && address
                .rsplit_once('@')
                .is_some_and(|(local, domain)| is_local(local) && domain_fault(&domain.to_ascii_lowercase()).is_none())
    };
    if is_address(text) {
        return Ok(text.to_owned());
    }
    let bare = text.rsplit(['<', ':']).next().unwrap_or(text).trim_end_matches('>').trim();
    let better = if is_address(bare) { bare } else { "oncall@your-company.com" };
    Err(Problem::new(
        format!("`{text}` is not an e-mail address"),
        format!("Write only the address, for example `\"{better}\"`."),
    ))
}

/// Source: `retentionInDays` of `PutRetentionPolicy` in the API of `CloudWatch` Logs.
const RETENTIONS: [u32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

fn log_retention(section: &mut Section<'_, '_>) -> u32 {
    let given = section.integer("log_retention_days", 30, 1..=3653, "CloudWatch Logs keeps entries for 1 to 3653 days");
    if !RETENTIONS.contains(&given.value)
        && let Some(span) = given.span()
    {
        // Rounded up: an operator who asks for a hundred days must not lose the last ten of them.
        let next = RETENTIONS.iter().find(|days| **days > given.value).copied().unwrap_or(3653);
        let all = RETENTIONS.map(|days| days.to_string()).join(", ");
        section.refuse(
            Problem::new(
                format!(
                    "CloudWatch Logs cannot keep entries for {} days; it accepts only certain numbers of days",
                    given.value
                ),
                format!("Write `log_retention_days = {next}`. Possible values: {all}."),
            )
            .at(span),
        );
    }
    given.value
}
