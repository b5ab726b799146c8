//! Aurora's clusters are PostgreSQL servers: what is written in one Region is in the other, as late as it is made.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use drctl_testkit::harness::Stack;

const PRIMARY: &str = "us-east-1";
const SECONDARY: &str = "us-east-2";

/// How long what is not late may take on a busy machine.
const SOON: Duration = Duration::from_secs(30);
const LAG: Duration = Duration::from_secs(5);

/// A program of PostgreSQL's that connects where `access` leads to.
fn program(name: &str, access: &Value) -> Command {
    let text = |name: &str| access[name].as_str().unwrap_or_default().to_owned();
    let mut program = Command::new(Path::new(&text("program")).with_file_name(name));
    program.env("PGHOST", "127.0.0.1").env("PGPORT", access["port"].to_string());
    program.env("PGUSER", text("user")).env("PGDATABASE", text("database")).env("PGPASSWORD", text("password"));
    program
}

/// Runs SQL at the cluster of a Region with the sandbox's own psql, and returns what it prints.
fn sql(stack: &Stack, region: &str, statement: &str) -> Result<String, String> {
    sql_with(&stack.psql(region), statement)
}

/// The same for the cluster that `access` leads to.
pub(super) fn sql_with(access: &Value, statement: &str) -> Result<String, String> {
    let output = program("psql", access)
        .args(["--no-psqlrc", "--tuples-only", "--no-align", "--quiet", &format!("--command={statement}")])
        .output()
        .expect("psql runs");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(said(&output.stdout)) } else { Err(said(&output.stderr)) }
}

/// Runs pgbench at the cluster of a Region.
fn pgbench(stack: &Stack, region: &str, options: &[&str]) {
    let output = program("pgbench", &stack.psql(region)).args(options).output().expect("pgbench runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Waits until a statement has this result in the secondary Region.
#[track_caller]
fn arrives(stack: &Stack, statement: &str, result: &str) {
    let started = Instant::now();
    while sql(stack, SECONDARY, statement).as_deref() != Ok(result) {
        assert!(started.elapsed() < SOON, "{statement} is not {result} in {SECONDARY}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn cluster<'a>(status: &'a Value, region: &str) -> &'a Value {
    let clusters = status["clusters"].as_array().expect("clusters");
    clusters.iter().find(|cluster| cluster["region"] == region).expect("a cluster in the Region")
}

#[test]
fn a_row_that_is_written_at_home_is_in_the_other_region_as_late_as_the_lag() {
    let stack = Stack::new();
    stack.configure("");
    stack.run(&["up", "--yes"]).exits(0);
    sql(&stack, PRIMARY, "create table trial (id int primary key); insert into trial values (1)").expect("written");
    arrives(&stack, "select count(*) from trial", "1");
    let refused = sql(&stack, SECONDARY, "insert into trial values (9)").expect_err("a secondary");
    assert!(refused.contains("read-only"), "{refused}");
    let status = stack.aurora();
    assert!(status["postgres"].is_string(), "{status:#}");
    assert_eq!(cluster(&status, PRIMARY)["role"], "writer", "{status:#}");
    assert_eq!(cluster(&status, SECONDARY)["role"], "secondary", "{status:#}");

    stack.lags(&json!({"aurora": {"lag": LAG.as_secs()}}));
    let written = Instant::now();
    sql(&stack, PRIMARY, "insert into trial values (2)").expect("written");
    let early = sql(&stack, SECONDARY, "select count(*) from trial");
    assert!(early.as_deref() == Ok("1") || written.elapsed() >= LAG, "{early:?} after {:?}", written.elapsed());
    arrives(&stack, "select count(*) from trial", "2");
    assert!(written.elapsed() >= LAG, "{:?}", written.elapsed());

    // A Region that is out takes no SQL, and nothing reaches it.
    stack.lags(&json!({"aurora": {"lag": 0}}));
    stack.regions(&json!({SECONDARY: {"is": "out"}}));
    sql(&stack, PRIMARY, "insert into trial values (3)").expect("written");
    stack.regions(&json!({SECONDARY: {"is": "up"}}));
    arrives(&stack, "select count(*) from trial", "3");

    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
    assert_eq!(stack.aurora()["clusters"], json!([]));
}

#[test]
fn the_history_of_pgbench_is_the_same_in_both_members() {
    let stack = Stack::new();
    stack.run(&["up", "--yes"]).exits(0);
    pgbench(&stack, PRIMARY, &["--initialize", "--quiet"]);
    pgbench(&stack, PRIMARY, &["--client=4", "--transactions=100", "--no-vacuum"]);
    let history = "select count(*), md5(string_agg(h::text, ',' order by h::text)) from pgbench_history h";
    let at_home = sql(&stack, PRIMARY, history).expect("read");
    assert!(at_home.starts_with("400|"), "{at_home}");
    arrives(&stack, history, &at_home);
}
