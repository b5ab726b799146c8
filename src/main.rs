//! `drctl`: parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(drctl::cli::main() as u8)
}
