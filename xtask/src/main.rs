//! `cargo xtask`: one entry point for everything that is run on this repository.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for developers at a terminal")]

mod resource;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};

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

/// The arguments of a task that runs tests: a part of their names, and the options of the test program.
const FILTER: &str = "[filter]";

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
        FILTER,
        "the engine's tests: seconds, without an AWS crate",
        &["cargo", "test", "-p", "drctl-engine", "--"],
    ),
    task("it", FILTER, "the binary against the sandbox", &["cargo", "test", "-p", "drctl", "--test", "it", "--"]),
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
            "regenerate docs/state.schema.json from the types",
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
    let Some(mut command) = command_of(task, rest) else { return ExitCode::from(2) };
    if task.arguments == FILTER && !rest.is_empty() {
        match command.arg("--list").stderr(Stdio::inherit()).output() {
            Ok(listed) if !listed.status.success() => return exit_code(listed.status),
            Ok(listed) if !has_test(&String::from_utf8_lossy(&listed.stdout)) => {
                eprintln!("No test matches `{}`: nothing was tested.", rest.join(" "));
                return ExitCode::FAILURE;
            }
            Ok(_) => {}
            Err(error) => return not_run(&command, &error),
        }
    }
    let Some(mut command) = command_of(task, rest) else { return ExitCode::from(2) };
    match command.status() {
        Ok(status) => exit_code(status),
        Err(error) => not_run(&command, &error),
    }
}

/// The command of a task, with its arguments and environment. `None` if the task has none.
fn command_of(task: &Task, rest: &[String]) -> Option<Command> {
    let [program, arguments @ ..] = task.command else { return None };
    // A script of the repository's, or a program on the PATH.
    let program = if program.contains('/') { root().join(program) } else { PathBuf::from(program) };
    let mut command = Command::new(&program);
    command.args(arguments).args(rest).current_dir(root());
    for (name, value) in task.environment.iter().filter(|(name, _)| std::env::var_os(name).is_none()) {
        command.env(name, value);
    }
    Some(command)
}

/// Whether a listing of test programs names a test. A test program succeeds if its filter matches none, so a misspelt name
/// would pass.
fn has_test(listing: &str) -> bool {
    listing.lines().any(|line| line.ends_with(": test"))
}

fn exit_code(status: ExitStatus) -> ExitCode {
    status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}

fn not_run(command: &Command, error: &std::io::Error) -> ExitCode {
    eprintln!("{}: {error}", command.get_program().display());
    ExitCode::FAILURE
}

fn help() -> String {
    let resource = ("new-resource", "<service> <type>", "write a new type's file, and say what comes next");
    let tasks = TASKS.iter().map(|task| (task.name, task.arguments, task.about)).chain([resource]);
    let lines = tasks.map(|(name, arguments, about)| format!("  {:34}{about}\n", format!("{name} {arguments}")));
    std::iter::once("cargo xtask <task>\n\n".to_owned()).chain(lines).collect()
}

#[cfg(test)]
mod tests {
    use super::has_test;

    #[test]
    fn a_filter_that_matches_no_test_is_noticed() {
        assert!(has_test("kill::up_is_killed: test\n\n1 test, 0 benchmarks\n"));
        assert!(!has_test("0 tests, 0 benchmarks\n\n0 tests, 0 benchmarks\n"));
    }
}
