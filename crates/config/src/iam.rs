//! `[iam]`: what an organisation's rules may require of roles.

use serde::Serialize;

use super::error::Problem;
use super::section::Section;

/// The settings that all three roles have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Iam {
    /// The ARN of the policy that limits what a role can be allowed; empty, the default, for none.
    pub permissions_boundary: String,
    /// The path of the roles, which begins and ends with a slash. Default `/`. Changing it later recreates the roles.
    pub path: String,
}

/// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html>
const LONGEST_PATH: usize = 512;

const BOUNDARY: &str = "arn:aws:iam::123456789012:policy/boundary";

impl Iam {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        Self {
            permissions_boundary: section.text("permissions_boundary", String::new(), BOUNDARY, boundary).value,
            path: section.text("path", "/".to_owned(), "/payments/", path).value,
        }
    }
}

/// The ARN of a managed policy, either the account's own or one of AWS's.
fn boundary(text: &str) -> Result<String, Problem> {
    let is_owner =
        |owner: &str| owner == "aws" || (owner.len() == 12 && owner.bytes().all(|byte| byte.is_ascii_digit()));
    let is_name = |name: &str| {
        let name = name.rsplit('/').next().unwrap_or_default();
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte))
    };
    let parts = text.strip_prefix("arn:aws:iam::").and_then(|rest| rest.split_once(":policy/"));
    if text.is_empty() || parts.is_some_and(|(owner, name)| is_owner(owner) && is_name(name) && !text.contains(' ')) {
        return Ok(text.to_owned());
    }
    Err(Problem::new(
        format!(
            "`{text}` is not the ARN of a managed IAM policy, and only such a policy can be a permissions boundary"
        ),
        format!("Write `permissions_boundary = \"{BOUNDARY}\"`, with your account and the policy's name."),
    ))
}

fn path(text: &str) -> Result<String, Problem> {
    let is_path = text == "/"
        || (text.len() > 2
            && text.len() <= LONGEST_PATH
            && text.starts_with('/')
            && text.ends_with('/')
            && text.bytes().all(|byte| byte.is_ascii_graphic()));
    if is_path {
        return Ok(text.to_owned());
    }
    let fix: Vec<&str> =
        text.split('/').filter(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic())).collect();
    let better = if fix.is_empty() || text.len() > LONGEST_PATH { "payments".to_owned() } else { fix.join("/") };
    Err(Problem::new(
        format!(
            "`{text}` is not a valid role path, which begins and ends with a slash, and has no spaces and at most \
             {LONGEST_PATH} characters"
        ),
        format!("Write `path = \"/{better}/\"`."),
    ))
}
