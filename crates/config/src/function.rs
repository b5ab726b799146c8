//! `[lambda]`: the function behind the API.

use std::num::NonZeroU32;
use std::path::PathBuf;

use serde::Serialize;

use super::error::Problem;
use super::section::Section;

/// The payment function, the same in both regions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lambda {
    /// What is deployed. Default: the function that comes with drctl.
    pub package: Package,
    /// What the runtime calls, as `file.function`. Default `payment_processor.handler`.
    pub handler: String,
    /// The identifier of a current Lambda runtime. Default `python3.13`.
    pub runtime: String,
    /// Memory in MB; the share of a processor grows with it. Default 512.
    pub memory_mb: u32,
    /// Seconds after which a call is broken off. Default 15.
    pub timeout_seconds: u32,
    /// Concurrent executions kept for the function in each region; `None` (written -1) shares the account's. Default
    /// `None`, since new accounts have less than one could reserve from.
    pub reserved_concurrency: Option<NonZeroU32>,
    /// Where payments are kept. Default Aurora.
    pub ledger: Ledger,
}

/// The code that is deployed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Package {
    /// The function that comes with drctl, written `built-in`.
    BuiltIn,
    /// A zip file, or a folder that is zipped; relative to the working folder.
    Path(PathBuf),
}

impl Package {
    /// As it is written in the file.
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
    /// A table that needs no SQL engine, for emulators without one; written `dynamodb`.
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
                section.refuse(handler.blame(problem, &package, "the package is chosen here"));
            }
            if !runtime.value.starts_with("python") {
                let problem = Problem::new(
                    format!("the built-in function is Python, and {} cannot run it", runtime.value),
                    format!("Write `runtime = \"{RUNTIME}\"`, or name your own code with `package`."),
                );
                section.refuse(runtime.blame(problem, &package, "the package is chosen here"));
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
                 payment still goes on",
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
            "Write `package = \"built-in\"`, or the path of a zip file or a folder.",
        )),
        path => Ok(Package::Path(PathBuf::from(path))),
    }
}

/// Source: `Handler` of `CreateFunction` in the Lambda API: at most 128 characters, no blanks.
fn handler(text: &str) -> Result<String, Problem> {
    if text.is_empty() || text.chars().count() > 128 || text.contains(char::is_whitespace) {
        return Err(Problem::new(
            format!("`{text}` is not a handler: 1 to 128 characters without blanks, as a rule `file.function`"),
            format!("Write `handler = \"{HANDLER}\"`."),
        ));
    }
    Ok(text.to_owned())
}

/// The form of a runtime's identifier. Which ones are current changes by the month and is AWS's to say; only Python up
/// to 3.9 is refused here, which Lambda retired for good.
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
            format!("{text} is retired: Lambda makes no new functions with it"),
            format!("Write `runtime = \"{RUNTIME}\"`."),
        ));
    }
    Ok(text.to_owned())
}

/// -1 for none is what other tools for AWS write, and 0 means "never run" to AWS: it must not mean "no limit" here.
fn reserved_concurrency(section: &mut Section<'_, '_>) -> Option<NonZeroU32> {
    let given = section.integer(
        "reserved_concurrency",
        -1_i32,
        -1..=100_000,
        "it is -1 for none, or the number of concurrent executions to keep for the function",
    );
    if given.value == 0
        && let Some(span) = given.span()
    {
        section.refuse(
            Problem::new(
                "`reserved_concurrency = 0` would stop the function: AWS would refuse every call",
                "Write `reserved_concurrency = -1` for no reservation, or a number of 1 or more.",
            )
            .at(span),
        );
    }
    u32::try_from(given.value).ok().and_then(NonZeroU32::new)
}
