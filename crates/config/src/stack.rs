//! `[stack]`: the name of the stack, from which all names in AWS are made.

use serde::Serialize;

use super::error::Problem;
use super::section::{Given, Origin, Section};

/// The stack's name and the environment it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stack {
    /// The name: lower-case letters, digits and single hyphens, starting with a letter. Default `payment-dr`.
    pub name: String,
    /// The environment, such as `dev` or `prod`: lower-case letters, digits and single hyphens. `--environment` and
    /// `ENVIRONMENT_SUFFIX` take precedence over the file. Default `dev`: a command that is run in the wrong folder, where
    /// there is no file, must not affect production.
    pub environment: String,
}

/// Name and environment, each with its origin.
pub(super) struct Identity {
    pub(super) stack: Given<String>,
    pub(super) environment: Given<String>,
}

impl Identity {
    pub(super) fn read(section: &mut Section<'_, '_>, environment: Option<&str>) -> Self {
        let stack = section.text("name", "payment-dr".to_owned(), "payment-dr", |text| {
            word(text, true).map_err(|fix| refused("name", text, "stack name", LETTER_FIRST, &fix, "payment-dr"))
        });
        let in_file = section.text("environment", "dev".to_owned(), "dev", |text| {
            word(text, false).map_err(|fix| refused("environment", text, "environment", "", &fix, "dev"))
        });
        let environment = match environment {
            None => in_file,
            Some(text) => match word(text, false) {
                Ok(value) => Given { value, origin: Origin::CommandLine },
                Err(fix) => {
                    section.refuse(refused_override(text, &fix));
                    Given { value: in_file.value, origin: Origin::Refused }
                }
            },
        };
        Self { stack, environment }
    }

    pub(super) fn name(&self) -> String {
        joined(&self.stack.value, &self.environment.value)
    }
}

impl From<Identity> for Stack {
    fn from(identity: Identity) -> Self {
        Self { name: identity.stack.value, environment: identity.environment.value }
    }
}

/// What every name in AWS begins with.
pub(super) fn joined(stack: &str, environment: &str) -> String {
    format!("{stack}-{environment}")
}

/// Returns `text` if it can be part of names. Otherwise the error is the nearest text that can, empty if there is none.
///
/// The allowed characters are those that all services accept: an S3 bucket name has no capitals and no underscores; an Aurora
/// identifier starts with a letter, and has no two hyphens in a row and none at the end.
fn word(text: &str, letter_first: bool) -> Result<String, String> {
    let fix = text
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("-")
        .to_ascii_lowercase();
    let fix =
        if letter_first { fix.trim_start_matches(|first: char| !first.is_ascii_lowercase()) } else { fix.as_str() };
    if fix == text && !text.is_empty() { Ok(text.to_owned()) } else { Err(fix.to_owned()) }
}

/// The rule for the name of a stack or an environment, and its reason.
fn rule(letter_first: &str) -> String {
    format!(
        "It becomes part of bucket, database and role names, so it must {letter_first}use only lower-case letters, digits and \
         single hyphens between them"
    )
}

const LETTER_FIRST: &str = "start with a letter and ";

fn refused(key: &str, text: &str, what: &str, letter_first: &str, fix: &str, example: &str) -> Problem {
    let better = if fix.is_empty() { example } else { fix };
    Problem::new(
        format!("`{text}` is not a valid {what}. {}", rule(letter_first)),
        format!("Write `{key} = \"{better}\"`."),
    )
}

fn refused_override(text: &str, fix: &str) -> Problem {
    let advice = if fix.is_empty() {
        "Write a name, for example `--environment prod`, or unset ENVIRONMENT_SUFFIX to use the environment in the file."
            .to_owned()
    } else {
        format!("Write `--environment {fix}`, or set ENVIRONMENT_SUFFIX={fix}.")
    };
    let message = if text.is_empty() {
        "the environment given by --environment or ENVIRONMENT_SUFFIX is empty".to_owned()
    } else {
        format!("the environment `{text}`, given by --environment or ENVIRONMENT_SUFFIX, is not valid. {}", rule(""))
    };
    Problem::new(message, advice)
}

#[cfg(test)]
mod tests {
    use super::word;

    #[test]
    fn the_nearest_valid_name_is_suggested() {
        for (text, letter_first, wanted) in [
            ("payment-dr", true, Ok("payment-dr")),
            ("pr123", false, Ok("pr123")),
            ("2024", false, Ok("2024")),
            ("2024", true, Err("")),
            ("9lives", true, Err("lives")),
            ("Payment_DR", true, Err("payment-dr")),
            ("a--b", true, Err("a-b")),
            ("-a-", true, Err("a")),
            ("", false, Err("")),
            ("é", false, Err("")),
        ] {
            assert_eq!(word(text, letter_first), wanted.map(str::to_owned).map_err(str::to_owned), "{text}");
        }
    }
}
