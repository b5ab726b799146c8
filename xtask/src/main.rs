//! `cargo xtask`: one entry point for everything that is run on this repository.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for developers at a terminal")]

mod resource;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// A task: its name, what its arguments are, what it does, and the command, run in the repository's root.
struct Task {
    name: &'static str,
    arguments: &'static str,
    about: &'static str,
    /// Environment variables, unless they are set already.
    environment: &'static [(&'static str, &'static str)],
    command: &'static [&'static str],
}

const fn task(
    name: &'static str,
    arguments: &'static str,
    about: &'static str,
    command: &'static [&'static str],
) -> Task {
    Task { name, arguments, about, environment: &[], command }
}

/// The full matrices: one seed, four workers.
const FULL: &[(&str, &str)] = &[("DRCTL_MATRIX", "full"), ("DRCTL_SEEDS", "1"), ("DRCTL_WORKERS", "4")];

const TASKS: &[Task] = &[
    task("ci", "", "what CI runs: format, lints, all tests, LocalStack", &[".ci/run"]),
    task("format", "", "format all sources", &["cargo", "fmt"]),
    task(
        "lint",
        "",
        "lints as errors",
        &["cargo", "clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"],
    ),
    task(
        "engine",
        "[filter]",
        "the engine's tests: seconds, without an AWS crate",
        &["cargo", "test", "-p", "drctl-engine", "--"],
    ),
    task("it", "[filter]", "the binary against the sandbox", &["cargo", "test", "-p", "drctl", "--test", "it", "--"]),
    task("lambda", "", "the function's tests", &["python3", "-m", "unittest", "discover", "-s", "lambda"]),
    task("localstack", "", "a whole life against LocalStack", &["localstack/test"]),
    Task {
        environment: FULL,
        ..task(
            "matrix",
            "",
            "kills and lost answers at every point (half an hour)",
            &["cargo", "test", "-p", "drctl", "--test", "it", "matrix::", "--", "--nocapture"],
        )
    },
    Task {
        environment: FULL,
        ..task(
            "refusals",
            "",
            "every call refused once (half an hour)",
            &["cargo", "test", "-p", "drctl", "--test", "it", "whatever_is_refused", "--", "--nocapture"],
        )
    },
    task("mutations", "[name…]", "each handling taken out: its test must fail", &["tests/mutation_check/check.py"]),
    task(
        "judge",
        "",
        "recorded calls against AWS's own models",
        &["cargo", "test", "-p", "drctl", "--test", "it", "judge"],
    ),
    task("fuzz", "[seconds] [target…]", "fuzz configuration and state", &["fuzz/run"]),
    task("bench", "", "the engine on synthetic graphs", &["cargo", "bench", "-p", "drctl-engine", "--bench", "engine"]),
    task("bench-stack", "", "the whole stack in the sandbox", &["benches/stack.py"]),
    Task {
        environment: &[("UPDATE_SCHEMA", "1")],
        ..task(
            "schema",
            "",
            "write docs/state.schema.json anew from the types",
            &["cargo", "test", "-p", "drctl", "--test", "it", "the_schema_in_the_repository"],
        )
    },
];

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or_else(|| here.to_owned(), Path::to_owned)
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(name) = arguments.next() else {
        print!("{}", help());
        return ExitCode::SUCCESS;
    };
    let rest: Vec<String> = arguments.collect();
    if name == "new-resource" {
        return match resource::write(&root(), &rest) {
            Ok(next) => {
                print!("{next}");
                ExitCode::SUCCESS
            }
            Err(why) => {
                eprintln!("{why}");
                ExitCode::from(2)
            }
        };
    }
    let Some(task) = TASKS.iter().find(|task| task.name == name) else {
        eprint!("There is no task `{name}`.\n\n{}", help());
        return ExitCode::from(2);
    };
    run(task, &rest)
}

fn run(task: &Task, rest: &[String]) -> ExitCode {
    let [program, arguments @ ..] = task.command else { return ExitCode::from(2) };
    // A script of the repository's, or a program on the PATH.
    let program = if program.contains('/') { root().join(program) } else { PathBuf::from(program) };
    let mut command = Command::new(&program);
    command.args(arguments).args(rest).current_dir(root());
    for (name, value) in task.environment.iter().filter(|(name, _)| std::env::var_os(name).is_none()) {
        command.env(name, value);
    }
    match command.status() {
        Ok(status) => status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from),
        Err(error) => {
            eprintln!("{}: {error}", program.display());
            ExitCode::FAILURE
        }
    }
}

fn help() -> String {
    let resource = ("new-resource", "<service> <type>", "write a new type's file, and say what comes next");
    let tasks = TASKS.iter().map(|task| (task.name, task.arguments, task.about)).chain([resource]);
    let lines = tasks.map(|(name, arguments, about)| format!("  {:34}{about}\n", format!("{name} {arguments}")));
    std::iter::once("cargo xtask <task>\n\n".to_owned()).chain(lines).collect()
}
