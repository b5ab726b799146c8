//! No server outlives its sandbox.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::super::{Pipe, Programs, Server};
use super::{TestResult, client, create, folder_of_programs, pay, payments};
use crate::process;

/// The folder of the sandbox that this test is to play: it starts itself as the process that is killed.
const ROLE: &str = "DRCTL_TEST_SANDBOX_TO_KILL";

/// The name of this test in its binary.
const NAME: &str = "world::postgres::tests::orphans::nothing_outlives_a_sandbox_that_is_killed_at_any_moment";

/// The moments, in milliseconds after the start of the process: in initdb, in the start, in the copy for the standby. The
/// last one is when both serve and one of them works on a query.
const MOMENTS: [Option<u64>; 9] =
    [Some(60), Some(120), Some(200), Some(300), Some(450), Some(700), Some(1000), Some(1500), None];

/// How long the sandbox may take to serve, on a busy machine.
const SERVES_WITHIN: Duration = Duration::from_mins(1);

/// The longest that the processes of a sandbox may take to end after it.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

#[tokio::test]
async fn nothing_outlives_a_sandbox_that_is_killed_at_any_moment() -> TestResult {
    if let Some(dir) = std::env::var_os(ROLE) {
        return play(Path::new(&dir)).await;
    }
    let dir = tempfile::Builder::new().prefix("drctl-postgres-killed-").tempdir()?;
    let served = dir.path().join("served");
    for moment in MOMENTS {
        let mut sandbox = Command::new(std::env::current_exe()?)
            .args(["--exact", "--nocapture", NAME])
            .env(ROLE, dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let started = Instant::now();
        if let Some(moment) = moment {
            tokio::time::sleep(Duration::from_millis(moment)).await;
        } else {
            while !served.exists() {
                assert!(started.elapsed() < SERVES_WITHIN, "the sandbox does not serve");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let moment = started.elapsed();
        sandbox.kill()?;
        assert!(sandbox.wait()?.code().is_none(), "after {moment:?}, the sandbox had ended by itself");
        everything_ends(dir.path(), moment).await?;

        // Whatever there is can be used, or made again.
        let programs = Programs::find(&folder_of_programs().await?, &dir.path().join("home")).await?;
        let folder = dir.path().join("one");
        let server = if Server::is_in(&folder) {
            let server = Server::open(&programs, &folder)?;
            server.start().await?;
            server
        } else {
            create(&programs, &folder).await?
        };
        pay(&server, 100..101).await?;
        let found = payments(&server).await?;
        assert!(found == [100] || found == [1, 100], "after {moment:?}: {found:?}");
        server.remove().await?;
        for folder in ["two", "served"] {
            let path = dir.path().join(folder);
            let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            assert!(removed.is_ok() || !path.exists(), "{removed:?}");
        }
    }
    Ok(())
}

/// Plays a sandbox until it is killed.
async fn play(dir: &Path) -> TestResult {
    let programs = Programs::find(&folder_of_programs().await?, &dir.join("home")).await?;
    let one = create(&programs, &dir.join("one")).await?;
    pay(&one, 1..2).await?;
    let pipe = Pipe::open(one.port().ok_or("no port")?).await?;
    let _two = Server::standby(&programs, &dir.join("two"), &one, &pipe, None).await?;
    std::fs::write(dir.join("served"), "")?;
    client(&one).await?.query("select count(*) from generate_series(1, 100000000000)", &[]).await?;
    Err("a query of hours has ended".into())
}

/// Waits until no process has anything to do with the sandbox in `dir`.
async fn everything_ends(dir: &Path, moment: Duration) -> TestResult {
    let name = dir.display().to_string();
    let started = Instant::now();
    loop {
        let left: Vec<String> = process::all()
            .into_iter()
            .filter(|(pid, words)| words.join(" ").contains(&name) || works_in(*pid, dir))
            .map(|(pid, words)| format!("{pid} {}", words.join(" ")))
            .collect();
        if left.is_empty() {
            return Ok(());
        }
        if started.elapsed() > ENDS_WITHIN {
            return Err(format!("killed after {moment:?}, the sandbox left behind:\n{}", left.join("\n")).into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether a process has its current folder in `dir`: the processes of a server write over their command lines.
fn works_in(pid: u32, dir: &Path) -> bool {
    std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|folder| folder.starts_with(dir))
}
