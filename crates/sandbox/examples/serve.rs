//! Serves a sandbox from a folder until it is told to end:
//! `cargo run -p drctl-sandbox --example serve -- FOLDER [PORT [PACE]]`.
//!
//! It builds in seconds, because the AWS SDK is not part of it. `drctl sandbox start` does the same in the background.

#![expect(clippy::print_stdout, reason = "it shows the progress")]

use std::path::PathBuf;

use drctl_sandbox::{Pace, ServeOptions, serve};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().map(PathBuf::from).ok_or("name the folder of the sandbox")?;
    let port = arguments.next().map_or(Ok(0), |port| port.parse())?;
    let pace = arguments.next().map_or(Ok(Pace::Instant), |pace| pace.parse())?;
    let options = ServeOptions {
        dir,
        port,
        dns_port: 0,
        pace,
        time_scale: 60.0,
        upstream: None,
        faults: None,
        exit_with_stdin: false,
    };
    serve(options, &|line| println!("{line}")).await?;
    Ok(())
}
