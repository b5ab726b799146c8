//! `[tags]`: the tags that an organisation wants on everything that costs money.

use std::collections::BTreeMap;

use super::error::Problem;
use super::section::Section;

/// The tags of everything in AWS that can be tagged, in addition to drctl's own; key → value. Default: none.
///
/// Tags are compared key by key: tags that others have set stay, and so does one that is removed from the file.
pub type Tags = BTreeMap<String, String>;

/// What AWS allows: <https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html#id_tags_naming_best_practices>
const LONGEST_KEY: usize = 128;
const LONGEST_VALUE: usize = 256;

/// AWS allows 50 tags on a resource. drctl sets five of them: `Name`, and those that say whose the resource is.
const MOST: usize = 45;

/// Prefixes of keys that are reserved, and why.
const RESERVED: [(&str, &str); 2] = [
    ("aws:", "AWS reserves keys that begin with `aws:`"),
    ("drctl:", "drctl recognises its own resources by such keys"),
];

const EXAMPLE: &str = "CostCenter = \"4711\"";

/// Reads and checks the section, in which every key is a tag.
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
                format!("[tags] has more than {MOST} tags: AWS allows 50 on a resource, and drctl needs five of them"),
                "Remove tags that are not used.",
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
        "drctl sets the `Name` of every resource itself".to_owned()
    } else if let Some(other) = clash {
        // https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html#id_tags_rules
        format!("IAM considers it the same as `{other}`")
    } else if key.is_empty() || key.chars().count() > LONGEST_KEY {
        format!("a key has 1 to {LONGEST_KEY} characters")
    } else {
        unfit(key)?
    };
    Some(Problem::new(
        format!("`{key}` is not a valid tag key: {why}"),
        format!("Write another one, for example `{EXAMPLE}`."),
    ))
}

fn value_problem(key: &str, value: &str) -> Option<Problem> {
    let why = if value.chars().count() > LONGEST_VALUE {
        format!("a value has at most {LONGEST_VALUE} characters")
    } else {
        unfit(value)?
    };
    Some(Problem::new(
        format!("`{value}` is not a valid value of the tag `{key}`: {why}"),
        format!("Write another one, for example `{EXAMPLE}`."),
    ))
}

/// Why some service would refuse the text or return it changed; `None` if none would.
fn unfit(text: &str) -> Option<String> {
    let is_fit = |letter: char| letter.is_alphanumeric() || letter == ' ' || "+-=._:/@".contains(letter);
    if let Some(letter) = text.chars().find(|letter| !is_fit(*letter)) {
        return Some(format!(
            "`{letter}` is not among the characters that all services accept: letters, digits, spaces and `+ - = . _ : / @`"
        ));
    }
    (text.trim() != text).then(|| "it begins or ends with a space".to_owned())
}
