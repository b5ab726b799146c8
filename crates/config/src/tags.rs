//! `[tags]`: what the company wants to see on everything that costs money.

use std::collections::BTreeMap;

use super::error::Problem;
use super::section::Section;

/// Tags that everything in AWS bears which takes tags, besides drctl's own; key → value. Default none.
///
/// They are compared key by key: tags that others have set stay, and so does one that is taken out of the file.
pub type Tags = BTreeMap<String, String>;

/// What AWS allows: <https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html#id_tags_naming_best_practices>
const LONGEST_KEY: usize = 128;
const LONGEST_VALUE: usize = 256;

/// A resource has at most 50, of which drctl sets five: `Name`, and whose it is.
const MOST: usize = 45;

/// Beginnings of keys that are not for everybody.
const RESERVED: [(&str, &str); 2] =
    [("aws:", "AWS keeps keys that begin with `aws:` for itself"), ("drctl:", "drctl knows its own by them")];

const EXAMPLE: &str = "CostCenter = \"4711\"";

/// Reads and checks the section, in which every key is one.
pub(super) fn read(section: &mut Section<'_, '_>) -> Tags {
    let pairs = section.pairs("4711");
    let mut tags = Tags::new();
    for (key, span, value) in pairs {
        let clash = tags.keys().find(|other: &&String| other.to_lowercase() == key.to_lowercase());
        if let Some(problem) = key_problem(&key, clash).or_else(|| value_problem(&key, &value)) {
            section.refuse(problem.at(span));
            continue;
        }
        if tags.len() == MOST {
            let problem = Problem::new(
                format!("[tags] has more than {MOST} tags, and AWS allows 50 on a resource, of which drctl needs five"),
                "Leave out what is not looked for.",
            );
            section.refuse(problem.at(span));
            break;
        }
        tags.insert(key, value);
    }
    tags
}

fn key_problem(key: &str, clash: Option<&String>) -> Option<Problem> {
    let lower = key.to_lowercase();
    let why = if let Some((_, why)) = RESERVED.iter().find(|(beginning, _)| lower.starts_with(beginning)) {
        (*why).to_owned()
    } else if lower == "name" {
        "drctl gives everything a name of its own".to_owned()
    } else if let Some(other) = clash {
        // https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html#id_tags_rules
        format!("IAM takes it for the same as `{other}`")
    } else if key.is_empty() || key.chars().count() > LONGEST_KEY {
        format!("a key has 1 to {LONGEST_KEY} characters")
    } else {
        unfit(key)?
    };
    Some(Problem::new(
        format!("`{key}` cannot be the key of a tag: {why}"),
        format!("Write another, for example `{EXAMPLE}`."),
    ))
}

fn value_problem(key: &str, value: &str) -> Option<Problem> {
    let why = if value.chars().count() > LONGEST_VALUE {
        format!("a value has at most {LONGEST_VALUE} characters")
    } else {
        unfit(value)?
    };
    Some(Problem::new(
        format!("`{value}` cannot be the value of the tag `{key}`: {why}"),
        format!("Write another, for example `{EXAMPLE}`."),
    ))
}

/// Why not every service would take it, or give it back as it was written.
fn unfit(text: &str) -> Option<String> {
    let is_fit = |letter: char| letter.is_alphanumeric() || letter == ' ' || "+-=._:/@".contains(letter);
    if let Some(letter) = text.chars().find(|letter| !is_fit(*letter)) {
        return Some(format!(
            "`{letter}` is not among letters, digits, blanks and `+ - = . _ : / @`, which all services take"
        ));
    }
    (text.trim() != text).then(|| "it begins or ends with a blank".to_owned())
}
