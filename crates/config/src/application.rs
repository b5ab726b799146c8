//! `[sessions]` and `[storage]`: the table and the buckets that the function uses.

use serde::Serialize;

use super::error::Problem;
use super::section::Section;

/// The global table of sessions and idempotency keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sessions {
    /// The attribute that holds the expiry time of an item, in seconds since 1970. Default `expires_at`.
    pub ttl_attribute: String,
    /// How many hours an item is kept, and with it the answer to an `Idempotency-Key`. Default 24.
    pub ttl_hours: u32,
    /// How many days back point-in-time recovery reaches. Default 35.
    pub recovery_days: u32,
}

impl Sessions {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        Self {
            ttl_attribute: section.text("ttl_attribute", "expires_at".to_owned(), "expires_at", ttl_attribute).value,
            ttl_hours: section
                .integer("ttl_hours", 24, 1..=8760, "an item is kept for at least an hour and at most a year")
                .value,
            recovery_days: section
                .integer("recovery_days", 35, 1..=35, "DynamoDB can recover to any point in the last 1 to 35 days")
                .value,
        }
    }
}

/// A plain attribute name: `DynamoDB` allows any 255 bytes, but other characters would have to be escaped in every expression.
fn ttl_attribute(text: &str) -> Result<String, Problem> {
    let is_plain = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.len() <= 255
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_plain {
        return Ok(text.to_owned());
    }
    Err(Problem::new(
        format!(
            "`{text}` is not a valid ttl_attribute: it must start with a letter, and have at most 255 letters, digits and \
             underscores"
        ),
        "Write `ttl_attribute = \"expires_at\"`.",
    ))
}

/// The two buckets, which replicate to each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Storage {
    /// How many days an overwritten or deleted version of an object is kept. Default 30.
    pub noncurrent_days: u32,
    /// After how many days the parts of an unfinished upload are removed. Default 7.
    pub incomplete_upload_days: u32,
}

impl Storage {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        Self {
            noncurrent_days: section
                .integer("noncurrent_days", 30, 1..=36500, "a lifecycle rule accepts 1 day to 100 years")
                .value,
            incomplete_upload_days: section
                .integer("incomplete_upload_days", 7, 1..=365, "an unfinished upload is of no use after a year")
                .value,
        }
    }
}
