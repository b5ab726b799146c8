//! Finds a Python that can run the emulator.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::error::{FoundPython, SandboxError};

/// The oldest version on which MiniStack runs.
const MINIMUM: (u32, u32) = (3, 10);

/// The names to look for: the user's own choice first, then the newest version.
const PROGRAMS: [&str; 7] = ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10", "python"];

/// How long a program may take to report its version. Version managers put scripts in Python's place, and some of those
/// ask questions.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// The first program on the `PATH` that is a recent enough Python.
pub(super) async fn find() -> Result<String, SandboxError> {
    let mut found = Vec::new();
    for program in PROGRAMS {
        match version_of(program).await {
            None => {}
            Some(Ok(version)) if version >= MINIMUM => {
                tracing::debug!(program, major = version.0, minor = version.1, "Python found");
                return Ok(program.to_owned());
            }
            Some(Ok((major, minor))) => {
                found.push(FoundPython { program: program.to_owned(), answer: format!("{major}.{minor}") });
            }
            Some(Err(answer)) => found.push(FoundPython { program: program.to_owned(), answer }),
        }
    }
    Err(SandboxError::PythonMissing { found })
}

/// The version of a program, or what it did instead of reporting one; `None` if there is no such program.
async fn version_of(program: &str) -> Option<Result<(u32, u32), String>> {
    let running = Command::new(program).arg("--version").stdin(Stdio::null()).kill_on_drop(true).output();
    let output = match tokio::time::timeout(ANSWERS_WITHIN, running).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Ok(Err(error)) => return Some(Err(format!("cannot be started ({error})"))),
        Err(_) => return Some(Err(format!("did not report its version within {} s", ANSWERS_WITHIN.as_secs()))),
    };
    // Python 2 prints its version to standard error.
    let output_text =
        format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        let line = output_text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no output").to_owned();
        return Some(Err(format!("failed ({line})")));
    }
    Some(parse_version(&output_text).ok_or_else(|| format!("printed {:?} instead of a version", output_text.trim())))
}

/// Reads major and minor version from `Python 3.12.1+`, `Python 3.14.0rc1`, and the like.
fn parse_version(output_text: &str) -> Option<(u32, u32)> {
    let rest = output_text.lines().find_map(|line| line.trim().strip_prefix("Python "))?;
    let mut parts = rest.split('.');
    let major = parts.next()?.trim().parse().ok()?;
    let minor: String = parts.next()?.chars().take_while(char::is_ascii_digit).collect();
    Some((major, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(parse_version("Python 3.11.7\n"), Some((3, 11)));
        assert_eq!(parse_version("\nPython 3.12.1+\n"), Some((3, 12)));
        assert_eq!(parse_version("Python 3.14.0rc1"), Some((3, 14)));
        assert_eq!(parse_version("Python 3.15a2"), Some((3, 15)));
        assert_eq!(parse_version("\nPython 2.7.18\n"), Some((2, 7)));
        assert_eq!(parse_version("warning: shim\nPython 3.10.0\n"), Some((3, 10)));
    }

    #[test]
    fn anything_but_a_version_is_none() {
        for output_text in ["", "Python", "Python three", "PyPy 7.3", "python 3.12", "Python 3"] {
            assert_eq!(parse_version(output_text), None, "{output_text:?}");
        }
    }

    #[test]
    fn minor_versions_are_compared_as_numbers() {
        assert!(parse_version("Python 3.9.18").is_some_and(|found| found < MINIMUM));
        assert!(parse_version("Python 3.10.0").is_some_and(|found| found >= MINIMUM));
        assert!(parse_version("Python 4.0.0").is_some_and(|found| found >= MINIMUM));
    }

    #[tokio::test]
    async fn a_missing_program_is_none() {
        assert!(version_of("drctl-no-such-python").await.is_none());
    }
}
