//! `[sessions]`, `[storage]` and `[api]`: what the function works with, and what stands before it.

use serde::Serialize;

use super::error::Problem;
use super::section::Section;

/// The global table of sessions and idempotency keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sessions {
    /// The attribute that holds an item's time of expiry, in seconds since 1970. Default `expires_at`.
    pub ttl_attribute: String,
    /// Hours an item lives, and with it how long the answer to an `Idempotency-Key` is kept. Default 24.
    pub ttl_hours: u32,
    /// Days one can go back to with point-in-time recovery. Default 35.
    pub recovery_days: u32,
}

impl Sessions {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        Self {
            ttl_attribute: section.text("ttl_attribute", "expires_at".to_owned(), "expires_at", ttl_attribute).value,
            ttl_hours: section
                .integer("ttl_hours", 24, 1..=8760, "an item lives at least an hour and at most a year")
                .value,
            recovery_days: section
                .integer("recovery_days", 35, 1..=35, "DynamoDB recovers to a point of the last 1 to 35 days")
                .value,
        }
    }
}

/// A plain attribute name: `DynamoDB` allows any 255 bytes, but others than these must be escaped in every expression.
fn ttl_attribute(text: &str) -> Result<String, Problem> {
    let is_plain = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.len() <= 255
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_plain {
        return Ok(text.to_owned());
    }
    Err(Problem::new(
        format!(
            "`{text}` cannot be the ttl_attribute: it takes at most 255 letters, digits and underscores, a letter first"
        ),
        "Write `ttl_attribute = \"expires_at\"`.",
    ))
}

/// The two buckets, which replicate to each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Storage {
    /// Days an overwritten or deleted version of an object is kept. Default 30.
    pub noncurrent_days: u32,
    /// Days after which the parts of an unfinished upload are removed. Default 7.
    pub incomplete_upload_days: u32,
}

impl Storage {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        Self {
            noncurrent_days: section
                .integer("noncurrent_days", 30, 1..=36500, "a lifecycle rule takes 1 day to 100 years")
                .value,
            incomplete_upload_days: section
                .integer("incomplete_upload_days", 7, 1..=365, "an unfinished upload is of use for a year at most")
                .value,
        }
    }
}

/// The throttling of the HTTP API in each region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Api {
    /// Requests per second, in the long run. Default 500, which also the smaller regions' quota (2500) allows.
    pub throttle_rate: u32,
    /// Requests at one moment. Default 1000, within the smaller regions' quota (1250).
    pub throttle_burst: u32,
}

/// More than any account has been granted: a slip of the keyboard. The default quota is 10 000 and can be raised, so it
/// is no bound.
const MOST_REQUESTS: u32 = 1_000_000;

impl Api {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        let why = "with 0 the API would refuse every request, and no account has a quota of more than a million";
        Self {
            throttle_rate: section.integer("throttle_rate", 500, 1..=MOST_REQUESTS, why).value,
            throttle_burst: section.integer("throttle_burst", 1000, 1..=MOST_REQUESTS, why).value,
        }
    }
}
