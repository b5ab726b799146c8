//! The environment as the AWS CLI reads it.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// An AWS setting that is empty is as one that is not set: pipelines write `AWS_PROFILE=` where there is none. The SDK takes it for a
/// value, and a library cannot change the environment of its own process safely: so drctl starts itself once more without it.
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
    // It comes back only when it could not: then the settings are read as they are.
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
    fn only_awss_own_are_dropped_and_only_when_they_say_nothing() {
        let variables =
            [("AWS_PROFILE", ""), ("AWS_ENDPOINT_URL_S3", " "), ("AWS_REGION", "us-east-1"), ("NO_COLOR", "")];
        let dropped = empty_settings(variables.into_iter().map(|(name, value)| (name.into(), value.into())));
        assert_eq!(dropped, ["AWS_PROFILE", "AWS_ENDPOINT_URL_S3"]);
    }
}
