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

/// What the function keeps in attributes of its own: `lambda/payment_processor.py`. An expiry in one of them would overwrite it, or
/// be overwritten.
const TAKEN: [&str; 12] = [
    "active_region",
    "amount",
    "answer",
    "claimant",
    "created_at_ms",
    "currency",
    "fingerprint",
    "lease_until",
    "made_in",
    "phase",
    "pk",
    "reference",
];

/// A plain attribute name: `DynamoDB` allows any 255 bytes, but other characters would have to be escaped in every expression.
fn ttl_attribute(text: &str) -> Result<String, Problem> {
    let is_plain = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.len() <= 255
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if TAKEN.contains(&text) {
        return Err(Problem::new(
            format!(
                "`{text}` cannot be the ttl_attribute: the function keeps something else in that attribute of its items"
            ),
            "Write `ttl_attribute = \"expires_at\"`.",
        ));
    }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::{TAKEN, ttl_attribute};

    /// The names in items and keys that are written or read: `"name": {"S": …}` and `item["name"]`, and those in expressions.
    fn attributes(source: &str) -> BTreeSet<&str> {
        let quoted = |piece: &'static str| source.match_indices(piece).map(|(at, _)| at);
        let before = quoted("\": {\"S\"").chain(quoted("\": {\"N\"")).map(|end| {
            let begin = source[..end].rfind('"').expect("a quotation mark") + 1;
            &source[begin..end]
        });
        let after = ["item[\"", "item.get(\""].into_iter().flat_map(|piece| {
            quoted(piece).map(move |at| source[at + piece.len()..].split('"').next().unwrap_or_default())
        });
        before.chain(after).filter(|name| !name.starts_with(':')).collect()
    }

    #[test]
    fn the_expiry_has_an_attribute_that_the_function_does_not_use() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../lambda/payment_processor.py");
        let source = std::fs::read_to_string(source).expect("the function");
        let used = attributes(&source);
        assert!(used.contains("pk") && used.contains("made_in") && used.contains("active_region"), "{used:?}");
        // An expression names `answer` only.
        let unknown: Vec<&&str> = used.iter().filter(|name| !TAKEN.contains(name)).collect();
        assert!(unknown.is_empty(), "{unknown:?} can be the ttl_attribute");
        for name in TAKEN {
            assert!(source.contains(name), "{name} is used no longer");
            let problem = ttl_attribute(name).expect_err(name);
            assert!(problem.to_string().contains("the function keeps something else"), "{problem}");
        }
        assert!(ttl_attribute("expires_at").is_ok());
    }
}
