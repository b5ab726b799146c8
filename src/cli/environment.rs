//! Environment variables, read as the AWS CLI reads them.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Removes AWS settings that are empty, because pipelines write `AWS_PROFILE=` when there is no profile. The SDK would take the
/// empty text for a value. A process can change its own environment only with `unsafe` code, so drctl starts itself again.
pub fn drop_empty_settings() {
    let empty = empty_settings(std::env::vars_os());
    if empty.is_empty() {
        return;
    }
    let mut arguments = std::env::args_os();
    let (Some(name), Ok(program)) = (arguments.next(), std::env::current_exe()) else { return };
    let mut again = Command::new(program);
    again.arg0(name).args(arguments);
    for setting in empty {
        again.env_remove(setting);
    }
    // `exec` returns only if it failed. Then the settings are read as they are.
    drop(again.exec());
}

fn empty_settings(variables: impl Iterator<Item = (OsString, OsString)>) -> Vec<OsString> {
    let is_blank = |value: &OsStr| value.to_string_lossy().trim().is_empty();
    variables
        .filter(|(name, value)| name.to_string_lossy().starts_with("AWS_") && is_blank(value))
        .map(|(name, _)| name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_empty_aws_settings_are_removed() {
        let variables =
            [("AWS_PROFILE", ""), ("AWS_ENDPOINT_URL_S3", " "), ("AWS_REGION", "us-east-1"), ("NO_COLOR", "")];
        let dropped = empty_settings(variables.into_iter().map(|(name, value)| (name.into(), value.into())));
        assert_eq!(dropped, ["AWS_PROFILE", "AWS_ENDPOINT_URL_S3"]);
    }
}
