//! `[lambda]`: the function behind the API.

use std::num::NonZeroU32;
use std::path::PathBuf;

use serde::Serialize;

use super::error::Problem;
use super::section::Section;

/// The payment function, the same in both Regions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lambda {
    /// What is deployed. Default: the function that comes with drctl.
    pub package: Package,
    /// The entry point that the runtime calls, as `file.function`. Default `payment_processor.handler`.
    pub handler: String,
    /// The identifier of a current Lambda runtime. Default `python3.13`.
    pub runtime: String,
    /// Memory in MB; processor time grows with it. Default 512.
    pub memory_mb: u32,
    /// Seconds after which an invocation is ended. Default 15.
    pub timeout_seconds: u32,
    /// Concurrent executions reserved for the function in each Region; with `None` (written -1), it shares those of the
    /// account. Default `None`, because the quota of a new account is too small to reserve any.
    pub reserved_concurrency: Option<NonZeroU32>,
    /// Where payments are stored. Default: Aurora.
    pub ledger: Ledger,
}

/// The code that is deployed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Package {
    /// The function that comes with drctl, written `built-in`.
    BuiltIn,
    /// The path of a zip file, or of a folder that drctl zips; relative to the working folder.
    Path(PathBuf),
}

impl Package {
    /// The setting as it is written in the file.
    #[must_use]
    pub fn as_text(&self) -> String {
        match self {
            Self::BuiltIn => "built-in".to_owned(),
            Self::Path(path) => path.display().to_string(),
        }
    }
}

/// The store of payments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ledger {
    /// The table in Aurora, over the Data API.
    Aurora,
    /// A DynamoDB table, for emulators without an SQL engine; written `dynamodb`.
    #[serde(rename = "dynamodb")]
    DynamoDb,
}

const HANDLER: &str = "payment_processor.handler";
const RUNTIME: &str = "python3.13";

impl Lambda {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        let package = section.text("package", Package::BuiltIn, "built-in", package);
        let handler = section.text("handler", HANDLER.to_owned(), HANDLER, handler);
        let runtime = section.text("runtime", RUNTIME.to_owned(), RUNTIME, runtime);
        if package.is_sound() && package.value == Package::BuiltIn {
            if handler.value != HANDLER {
                let problem = Problem::new(
                    format!("the built-in function has no handler `{}`", handler.value),
                    format!("Write `handler = \"{HANDLER}\"`, or name your own code with `package`."),
                );
                section.refuse(handler.blame(problem, &package, "the package is set here"));
            }
            if !runtime.value.starts_with("python") {
                let problem = Problem::new(
                    format!("the built-in function is Python, and {} cannot run it", runtime.value),
                    format!("Write `runtime = \"{RUNTIME}\"`, or name your own code with `package`."),
                );
                section.refuse(runtime.blame(problem, &package, "the package is set here"));
            }
        }
        let memory_mb =
            section.integer("memory_mb", 512, 128..=10_240, "Lambda gives a function 128 to 10240 MB of memory").value;
        let timeout_seconds = section
            .integer(
                "timeout_seconds",
                15,
                1..=30,
                "Lambda would wait up to 900 seconds, but an HTTP API gives up after 30 and answers 503 while the \
                 payment is still being processed",
            )
            .value;
        let reserved_concurrency = reserved_concurrency(section);
        let ledger = section
            .choice("ledger", Ledger::Aurora, &[("aurora", Ledger::Aurora), ("dynamodb", Ledger::DynamoDb)])
            .value;
        Self {
            package: package.value,
            handler: handler.value,
            runtime: runtime.value,
            memory_mb,
            timeout_seconds,
            reserved_concurrency,
            ledger,
        }
    }
}

fn package(text: &str) -> Result<Package, Problem> {
    match text {
        "built-in" => Ok(Package::BuiltIn),
        "" => Err(Problem::new(
            "`package` is empty",
            "Write `package = \"built-in\"`, or the path of a zip file or folder.",
        )),
        path => Ok(Package::Path(PathBuf::from(path))),
    }
}

/// Source: `Handler` of `CreateFunction` in the Lambda API: at most 128 characters, no white space.
fn handler(text: &str) -> Result<String, Problem> {
    if text.is_empty() || text.chars().count() > 128 || text.contains(char::is_whitespace) {
        return Err(Problem::new(
            format!(
                "`{text}` is not a valid handler, which has 1 to 128 characters without spaces, usually `file.function`"
            ),
            format!("Write `handler = \"{HANDLER}\"`."),
        ));
    }
    Ok(text.to_owned())
}

/// Only the form of the identifier is checked. Which runtimes are current changes from month to month and is known to AWS;
/// only Python up to 3.9 is refused here, because Lambda has retired it for good.
fn runtime(text: &str) -> Result<String, Problem> {
    let is_form = text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.contains(|letter: char| letter.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'.');
    if !is_form {
        return Err(Problem::new(
            format!("`{text}` is not the identifier of a Lambda runtime"),
            format!("Write `runtime = \"{RUNTIME}\"`, or another identifier from AWS's list of runtimes."),
        ));
    }
    let python = text.strip_prefix("python").and_then(|version| version.split_once('.'));
    let retired =
        python.is_some_and(|(major, minor)| major != "3" || minor.parse::<u16>().is_ok_and(|minor| minor < 10));
    if retired {
        return Err(Problem::new(
            format!("{text} is retired: Lambda no longer creates functions with it"),
            format!("Write `runtime = \"{RUNTIME}\"`."),
        ));
    }
    Ok(text.to_owned())
}

/// Other tools for AWS write -1 for none. To AWS, 0 means "never run", so it must not mean "no limit" here.
fn reserved_concurrency(section: &mut Section<'_, '_>) -> Option<NonZeroU32> {
    let given = section.integer(
        "reserved_concurrency",
        -1_i32,
        -1..=100_000,
        "write -1 for none, or the number of concurrent executions to reserve for the function",
    );
    if given.value == 0
        && let Some(span) = given.span()
    {
        section.refuse(
            Problem::new(
                "`reserved_concurrency = 0` would stop the function: AWS would refuse every invocation",
                "Write `reserved_concurrency = -1` for no reservation, or a number of 1 or more.",
            )
            .at(span),
        );
    }
    u32::try_from(given.value).ok().and_then(NonZeroU32::new)
}
