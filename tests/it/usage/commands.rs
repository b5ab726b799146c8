//! The commands as people and machines use them.

use drctl_testkit::harness::{Stack, drctl};

#[test]
fn init_writes_a_configuration_that_changes_nothing() {
    let stack = Stack::new();
    let before = stack.run(&["plan", "--json"]).exits(0).json();
    stack.run(&["init"]).exits(0).says("drctl.toml written");
    assert_eq!(stack.run(&["plan", "--json"]).exits(0).json(), before);
    stack.run(&["init"]).exits(3).says("already exists");
}

#[test]
fn up_without_a_terminal_does_not_ask_and_changes_nothing() {
    let stack = Stack::new();
    stack.run(&["up"]).exits(3).says("stdin is not a terminal").says("drctl up --yes");
    stack.run(&["plan", "--detailed-exitcode"]).exits(2).says("Plan: 159 to add, 0 to change, 0 to destroy.");
}

#[test]
fn a_run_without_changes_makes_at_most_150_calls() {
    let stack = Stack::new();
    stack.run(&["up", "--yes"]).exits(0);
    let before = stack.calls().len();
    stack.run(&["up", "--yes"]).exits(0).says("No changes.");
    let calls = stack.calls().len() - before;
    println!("a run without changes made {calls} calls");
    assert!(calls <= 150, "{calls} calls");
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}

#[test]
fn outputs_are_flat_and_the_same_in_both_formats() {
    let stack = Stack::new();
    stack.run(&["outputs"]).exits(3).says("has not been built");
    stack.run(&["up", "--yes"]).exits(0);
    let outputs = stack.run(&["outputs"]).exits(0).json();
    let outputs = outputs.as_object().expect("one object");
    assert!(outputs["primary_vpc_main_id"].as_str().expect("text").starts_with("vpc-"));
    assert!(outputs.iter().all(|(key, value)| value.is_string()
        && key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')));
    let env = stack.run(&["outputs", "--format", "env"]).exits(0).stdout;
    assert_eq!(env.lines().count(), outputs.len());
    let vpc = outputs["primary_vpc_main_id"].as_str().expect("text");
    assert!(env.contains(&format!("PRIMARY_VPC_MAIN_ID='{vpc}'\n")), "{env}");
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}

#[test]
fn status_distinguishes_present_drifted_and_missing() {
    let stack = Stack::new();
    stack.run(&["status", "--detailed-exitcode"]).exits(2).says("DR: NOT BUILT – nothing has been created yet");
    stack.run(&["up", "--yes"]).exits(0);
    stack.run(&["status", "--detailed-exitcode"]).exits(0).says("DR: in order – all 159 resources are there");
    let all = stack.run(&["status", "--all"]).exits(0).says("primary/vpc/main").stdout;
    assert!(all.lines().count() > 159, "{all}");
    let status = stack.run(&["status", "--json"]).exits(0).json();
    assert_eq!(status["verdict"], "in_order");
    assert!(status.to_string().contains("present") && !status.to_string().contains("drifted\":true"));
    let address = "primary/log_group/flow";
    tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
        let logs = aws_sdk_cloudwatchlogs::Client::new(&stack.sdk("us-east-1").await);
        logs.delete_log_group().log_group_name("/aws/lambda/payment-dr-dev-processor").send().await.expect("deleted");
        logs.put_retention_policy()
            .log_group_name("/aws/vpc/payment-dr-dev-flow")
            .retention_in_days(1)
            .send()
            .await
            .expect("set");
    });
    stack.run(&["status"]).exits(0).says(address).says("drifted").says("missing").says("with 2 minor deviations");
    let status = stack.run(&["status", "--json", "--detailed-exitcode"]).exits(2).json();
    let rows = status["resources"].as_array().expect("resources");
    let drifted = rows.iter().find(|row| row["address"] == address).expect("its row");
    assert_eq!(drifted["health"], "drifted");
    assert_eq!(drifted["severity"], "minor");
    // A health check that everything depends on leads to another verdict.
    tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
        let route53 = aws_sdk_route53::Client::new(&stack.sdk("us-east-1").await);
        let checks = route53.list_health_checks().send().await.expect("listed");
        let own =
            stack.run(&["state", "show", "global/health_check/primary-endpoint"]).exits(0).json()["id"].to_string();
        let check = checks.health_checks().iter().find(|check| own.contains(check.id())).expect("the check");
        route53.update_health_check().health_check_id(check.id()).disabled(true).send().await.expect("disabled");
    });
    let found = stack.run(&["status"]).exits(0).stdout;
    let verdict = found.lines().find(|line| line.starts_with("DR: ")).expect("a verdict");
    assert!(verdict.starts_with("DR: NOT READY – the health check is not enabled as configured"), "{found}");
    assert!(found.find("\ncritical\n") < found.find("\nminor\n"), "{found}");
    stack.run(&["up", "--yes"]).exits(0).says("1 added, 2 changed, 0 destroyed");
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}

#[test]
fn down_is_refused_while_protection_is_on() {
    let stack = Stack::new();
    stack.configure("[protection]\ndeletion = true\n");
    stack.run(&["up", "--yes"]).exits(0);
    stack.run(&["down", "--yes"]).exits(3).says("protection.deletion").says("Nothing was changed");
    std::fs::remove_file(stack.path("drctl.toml")).expect("removed");
    stack.run(&["down", "--yes"]).exits(3).says("protection.deletion");
    // A configuration file that happens to be here does not remove the protection before it is applied.
    stack.configure("[protection]\ndeletion = false\n");
    stack.run(&["down", "--yes"]).exits(3).says("as of its last `up`");
    stack.run(&["up", "--yes"]).exits(0).says("0 added, 4 changed, 0 destroyed");
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}

#[test]
fn up_destroys_no_data_while_protection_is_on() {
    let stack = Stack::new();
    stack.configure("[protection]\ndeletion = true\n");
    stack.run(&["up", "--yes"]).exits(0);
    // Another VPC means another subnet group, which means another cluster.
    stack.configure("[protection]\ndeletion = true\n[network]\nsecondary_cidr = \"10.2.0.0/16\"\n");
    stack
        .run(&["up", "--yes"])
        .exits(3)
        .says("this plan is refused as a whole, because data would be lost")
        .says("secondary/db_cluster/main (payment-dr-dev-secondary) would have to be replaced")
        .says("set `deletion = false` under [protection]")
        .says("Nothing was changed");
    // Naming the resources is not enough.
    stack.run(&REPLACE_SECONDARY).exits(3).says("this plan would destroy data").says("Nothing was changed");
    stack.configure("[protection]\ndeletion = true\n");
    stack.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
}

#[test]
fn down_needs_no_configuration() {
    let stack = Stack::new();
    stack.configure("[stack]\nname = \"ledger\"\nenvironment = \"test\"\n");
    stack.run(&["up", "--yes"]).exits(0);
    std::fs::remove_file(stack.path("drctl.toml")).expect("removed");
    // Every other command would mean payment-dr-dev, so nothing is deleted without a question.
    let refused =
        stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(3).says("nothing names the stack to delete");
    refused.says("`drctl down --yes --stack ledger-test --no-final-snapshot`");
    // Without a terminal, the hint names the stack that the question is about.
    let asked = stack.run(&["down", "--empty-buckets", "--timeout", "30"]).exits(3).says("not a terminal");
    asked.says("`drctl down --yes --empty-buckets --timeout 30 --stack ledger-test`");
    stack.run(&["down", "--yes", "--no-final-snapshot", "--stack", "ledger-test"]).exits(0);
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0).says("Nothing to delete");
    // A typing error must not look like a stack that has been deleted.
    stack.run(&["down", "--yes", "--environment", "tset"]).exits(3).says("there is no state").says("ledger-test");
}

/// Puts an object into a bucket of the stack in the environment.
fn put_object(stack: &Stack, environment: &str) {
    let outputs = stack.run(&["outputs", "--environment", environment]).exits(0).json();
    let bucket = outputs["primary_s3_bucket_data_id"].as_str().expect("a bucket").to_owned();
    tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
        let put = stack.s3("us-east-1").await.put_object().bucket(bucket).key("k").body(b"0 EUR".to_vec().into());
        put.send().await.expect("put");
    });
}

#[test]
fn what_is_lost_with_a_replacement_is_in_the_plan() {
    let stack = Stack::new();
    stack.run(&["up", "--yes"]).exits(0);
    stack.configure("[network]\nsecondary_cidr = \"10.2.0.0/16\"\n");
    let mut words = REPLACE_SECONDARY;
    words[..2].copy_from_slice(&["plan", "--full"]);
    let replaced = stack.run(&words).says("DATA LOSS: 2 resources that hold data will be deleted");
    replaced.says("the database in payment-dr-dev-secondary, except for its final snapshot");
}

#[test]
fn the_stack_that_down_is_given_is_the_one_that_is_meant_and_named() {
    let stack = Stack::new();
    stack.configure("[stack]\nenvironment = \"e3\"\n");
    stack.run(&["up", "--yes"]).exits(0);
    put_object(&stack, "e3");
    let by_stack = ["down", "--yes", "--stack", "payment-dr-e3"];
    // Its configuration protects it, whatever names it.
    stack.configure("[stack]\nenvironment = \"e3\"\n[protection]\ndeletion = true\n");
    stack
        .run(&by_stack)
        .exits(3)
        .says("`protection.deletion` is true in drctl.toml")
        .says("`drctl up --environment e3`");
    stack.configure("[stack]\nname = \"ledger\"\nenvironment = \"e2\"\n");
    for (more, said) in
        [(["--environment", "e2"], "the environment e2"), (["--config", "drctl.toml"], "which is of ledger")]
    {
        let refused = stack.run(&[&by_stack[..], &more].concat()).exits(3).says(said);
        refused.says("they name different stacks").says("Nothing was changed");
    }
    // What is pasted deletes this stack, and no other one.
    stack.run(&by_stack).exits(3).says("`drctl down --yes --empty-buckets --stack payment-dr-e3`");
    let down = stack.run(&[&by_stack[..], &["--empty-buckets"]].concat()).exits(0);
    // The configuration here is of another stack.
    down.says("`drctl up --environment e3 --config FILE`");
}

#[test]
fn the_hints_of_up_repeat_what_was_agreed_to() {
    let stack = Stack::new();
    stack.run(&["up", "--yes"]).exits(0);
    stack.configure("[network]\nsecondary_cidr = \"10.2.0.0/16\"\n");
    let agreed = [&REPLACE_SECONDARY[2..], &["--no-final-snapshot", "--adopt"]].concat();
    let command =
        "--adopt --replace secondary/db_cluster/main --replace secondary/db_instance/main --no-final-snapshot";
    let asked = stack.run(&[&["up"], &agreed[..]].concat()).exits(3).says("stdin is not a terminal");
    asked.says(&format!("`drctl up --yes {command}`")).says(&format!("`drctl plan {command}`"));
    // One of two is named: both are, in the hint.
    let refused =
        stack.run(&["plan", "--adopt", "--no-final-snapshot", "--replace", "secondary/db_cluster/main"]).exits(3);
    refused.says(
        "`drctl up --replace secondary/db_cluster/main --replace secondary/db_instance/main --adopt --no-final-snapshot`",
    );
}

#[test]
fn what_is_removed_from_the_configuration_is_shown_and_deleted() {
    let stack = Stack::new();
    stack.run(&["up", "--yes"]).exits(0);
    stack.configure("[network]\nnat = \"single\"\n");
    let plan = stack.run(&["plan"]).exits(0).stdout;
    assert!(plan.contains("- primary/nat_gateway/b") || plan.contains("primary/nat_gateway/b"), "{plan}");
    stack.run(&["up", "--yes"]).exits(0).says("0 added, 8 changed, 8 destroyed");
    stack.run(&["plan", "--detailed-exitcode"]).exits(0);
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}

const REPLACE_SECONDARY: [&str; 6] =
    ["up", "--yes", "--replace", "secondary/db_cluster/main", "--replace", "secondary/db_instance/main"];

/// How many manual cluster snapshots there are.
fn snapshots(stack: &Stack, region: &str) -> usize {
    tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
        let rds = aws_sdk_rds::Client::new(&stack.sdk(region).await);
        let found = rds.describe_db_cluster_snapshots().snapshot_type("manual").send().await.expect("listed");
        found.db_cluster_snapshots().len()
    })
}

#[test]
fn down_keeps_a_final_snapshot_and_the_key_that_decrypts_it() {
    let stack = Stack::new();
    stack.run(&["up", "--yes"]).exits(0);
    let down = stack
        .run(&["down", "--yes"])
        .exits(0)
        .says("Destroy complete!")
        .says("2 kept")
        .says("can be read only with it");
    assert!(!down.stderr.contains("kms_key/main deleted"), "what is kept is not deleted:\n{}", down.stderr);
    let status = stack.run(&["status"]).exits(0).says("DR: NOT BUILT").says("2 keys kept for final snapshots").stdout;
    assert!(status.lines().count() < 20, "{status}");
    for region in ["us-east-1", "us-east-2"] {
        assert_eq!(snapshots(&stack, region), 1, "{region}");
    }
    // The keys stay on record, and are deleted once nothing needs them.
    let left = stack.run(&["state", "list"]).exits(0).stdout;
    assert_eq!(left.lines().filter(|line| line.contains("kms_key/main")).count(), 2, "{left}");
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0).says("2 to keep").says("Nothing to delete");
    tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
        for region in ["us-east-1", "us-east-2"] {
            let rds = aws_sdk_rds::Client::new(&stack.sdk(region).await);
            let found = rds.describe_db_cluster_snapshots().snapshot_type("manual").send().await.expect("listed");
            for snapshot in found.db_cluster_snapshots() {
                let call = rds.delete_db_cluster_snapshot();
                let call = call.set_db_cluster_snapshot_identifier(snapshot.db_cluster_snapshot_identifier.clone());
                call.send().await.expect("deleted");
            }
        }
    });
    let last = stack.run(&["down", "--yes"]).exits(0).says("2 destroyed").says("is scheduled for deletion");
    assert!(!last.stderr.contains("kms_key/main deleted"), "{}", last.stderr);
    stack.run(&["state", "list"]).exits(0);
}

#[test]
fn a_deleted_stack_whose_keys_are_kept_can_be_built_in_other_regions() {
    let stack = Stack::new();
    stack.run(&["up", "--yes"]).exits(0);
    stack.run(&["down", "--yes"]).exits(0).says("2 kept");
    stack.configure("[regions]\nprimary = \"us-west-2\"\nsecondary = \"us-east-2\"\n");
    for words in [&["plan"][..], &["up", "--yes"], &["status"]] {
        let refused = stack.run(words).exits(4).says("belongs to another primary Region");
        let refused = refused.says("deleted the previous stack except for primary/kms_key/main in us-east-1");
        let refused = refused
            .says("secondary/kms_key/main in us-east-2")
            .says("describe-db-cluster-snapshots --region us-east-1");
        assert!(!refused.stderr.contains("A stack cannot move"), "{}", refused.stderr);
        // As it says.
        refused.says("`drctl up --state-dir state-us-west-2`");
    }
    stack.run(&["plan", "--state-dir", "state-us-west-2"]).exits(0).says("162 to add");
    tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
        for region in ["us-east-1", "us-east-2"] {
            let rds = aws_sdk_rds::Client::new(&stack.sdk(region).await);
            let found = rds.describe_db_cluster_snapshots().snapshot_type("manual").send().await.expect("listed");
            let shown = stack.run(&["plan"]).exits(4).stderr;
            for snapshot in found.db_cluster_snapshots() {
                let key = snapshot.kms_key_id().expect("its key");
                assert!(shown.contains(&format!("DBClusterSnapshots[?KmsKeyId=='{key}']")), "{key}: {shown}");
                let call = rds.delete_db_cluster_snapshot();
                let call = call.set_db_cluster_snapshot_identifier(snapshot.db_cluster_snapshot_identifier.clone());
                call.send().await.expect("deleted");
            }
        }
    });
    // Also as it says: it uses the recorded Regions.
    stack.run(&["down", "--yes"]).exits(0).says("2 destroyed");
    stack.run(&["plan"]).exits(0).says("162 to add");
}

#[test]
fn a_replacement_is_shown_with_its_reason_and_needs_consent() {
    let stack = Stack::new();
    stack.run(&["up", "--yes"]).exits(0);
    stack.configure("[network]\nsecondary_cidr = \"10.2.0.0/16\"\n");
    let plan = stack.run(&["plan"]).exits(3).says("forces replacement");
    let plan = plan
        .says("the primary CIDR block of a VPC cannot be changed")
        .says("a cluster cannot be moved to other subnets");
    // The output shows the exact options to add.
    plan.says("--replace secondary/db_cluster/main").says("--replace secondary/db_instance/main");
    let before = stack.calls().len();
    stack.run(&["up", "--yes"]).exits(3);
    stack.run(&["up", "--yes", "--replace", "secondary/db_cluster/other"]).exits(3).says("there is no such resource");
    let changing = crate::ownership::orphans::changes(&stack, before);
    assert!(changing.iter().all(|name| name.starts_with("Simulate")), "nothing may be started: {changing:?}");
    stack.run(&REPLACE_SECONDARY).exits(0).says("Apply complete!");
    assert_eq!(snapshots(&stack, "us-east-2"), 1, "a final snapshot must be taken first");
    stack.run(&["plan", "--detailed-exitcode"]).exits(0);
    // The new database is not replaced when the command is repeated, e.g. because it was interrupted.
    stack.run(&REPLACE_SECONDARY).exits(0).says("No changes").says("Not replaced, because nothing requires");
    assert_eq!(snapshots(&stack, "us-east-2"), 1, "nothing was replaced");
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}

#[test]
fn state_entries_are_listed_shown_and_removed() {
    let stack = Stack::new();
    stack.run(&["up", "--yes"]).exits(0);
    stack.run(&["state", "list"]).exits(0).says("primary/vpc/main").says("ready");
    let entry = stack.run(&["state", "show", "primary/vpc/main"]).exits(0).json();
    assert_eq!(entry["status"]["is"], "ready");
    stack.run(&["state", "rm", "primary/vpc/none", "--yes"]).exits(3).says("is not in");
    stack.run(&["state", "rm", "primary/vpc/main", "--yes"]).exits(0).says("AWS was not touched");
    // It is found by its tags, and not created a second time.
    stack.run(&["up", "--yes"]).exits(0);
    stack.run(&["plan", "--detailed-exitcode"]).exits(0);
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}

#[test]
fn a_json_run_prints_one_event_per_line() {
    let stack = Stack::new();
    let ran = stack.run(&["up", "--yes", "--json"]).exits(0);
    let lines: Vec<serde_json::Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of = |event: &str| lines.iter().filter(|line| line["event"] == event).count();
    assert_eq!(of("version"), 1, "{}", ran.stdout);
    assert_eq!(of("done"), 159);
    stack.run(&["down", "--yes", "--json"]).exits(0);
}

/// Runs `up` until the first resource is done, sends it a signal, and returns its exit code and its events.
fn signalled(
    stack: &Stack,
    command: &mut std::process::Command,
    signal: rustix::process::Signal,
) -> (Option<i32>, String) {
    use std::io::{BufRead as _, Read as _};
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().expect("started");
    let mut stdout = std::io::BufReader::new(child.stdout.take().expect("piped"));
    let mut seen = String::new();
    // Once the first resource is done, the run is in full swing.
    while !seen.ends_with("}\n") || !seen.lines().last().is_some_and(|line| line.starts_with("{\"event\":\"done\"")) {
        assert_ne!(stdout.read_line(&mut seen).expect("read"), 0, "{}: it ended early: {seen}", stack.account);
    }
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).expect("a pid")).expect("not 0");
    rustix::process::kill_process(pid, signal).expect("signalled");
    if signal == rustix::process::Signal::HUP {
        // The shell passes on what the kernel has sent already.
        std::thread::sleep(std::time::Duration::from_millis(20));
        // It may have ended by then.
        let _ = rustix::process::kill_process(pid, signal);
    }
    stdout.read_to_string(&mut seen).expect("drained");
    (child.wait().expect("ended").code(), seen)
}

#[test]
fn a_signal_lets_mutations_finish_and_the_next_run_continues() {
    use rustix::process::Signal;
    let stack = Stack::new();
    // SIGHUP comes when the terminal or the connection is closed.
    for signal in [Signal::INT, Signal::HUP] {
        let (code, seen) = signalled(&stack, &mut stack.command(&["up", "--yes", "--json"]), signal);
        assert_eq!(code, Some(130), "{signal:?}: {seen}");
        assert!(seen.contains("\"event\":\"interrupted\""), "{signal:?}: {seen}");
        assert!(seen.lines().last().is_some_and(|line| line.starts_with("{\"event\":\"summary\"")), "{seen}");
    }
    stack.run(&["up", "--yes"]).exits(0);
    stack.run(&["plan", "--detailed-exitcode"]).exits(0);
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}

#[test]
fn under_nohup_a_run_goes_on_without_its_terminal() {
    let stack = Stack::new();
    let command = stack.command(&[]);
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "trap '' HUP; exec \"$0\" up --yes --json", drctl()]).stdin(std::process::Stdio::null());
    shell.env_clear().envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    shell.current_dir(stack.path(""));
    let (code, seen) = signalled(&stack, &mut shell, rustix::process::Signal::HUP);
    assert_eq!(code, Some(0), "{seen}");
}

#[test]
fn completions_are_written_for_every_shell() {
    let stack = Stack::new();
    for shell in ["bash", "zsh", "fish"] {
        stack.run(&["completions", shell]).exits(0).says("drctl");
    }
}

/// A server that accepts every connection, reports it, and answers nothing. It ends with the test's process.
fn silent_server() -> (String, std::sync::mpsc::Receiver<std::net::TcpStream>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (sender, connections) = std::sync::mpsc::channel();
    std::thread::spawn(move || listener.incoming().flatten().try_for_each(|stream| sender.send(stream)));
    (url, connections)
}

#[test]
fn an_interrupt_ends_a_command_that_waits_for_its_first_answer() {
    let stack = Stack::new();
    for command in [&["up", "--yes"][..], &["status"], &["plan"]] {
        let (url, connections) = silent_server();
        let mut child = stack
            .command(command)
            .env("AWS_ENDPOINT_URL", url)
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("started");
        let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).expect("a pid")).expect("not 0");
        // drctl has sent its first call, and by then listens for signals. The connection is held open, because closing it
        // would be an answer.
        let _held = connections.recv_timeout(std::time::Duration::from_secs(30)).expect("a connection");
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("interrupted");
        let until = std::time::Instant::now() + std::time::Duration::from_secs(5);
        let status = loop {
            if let Some(status) = child.try_wait().expect("its status") {
                break status;
            }
            if std::time::Instant::now() > until {
                child.kill().expect("killed");
                panic!("drctl {} does not end", command.join(" "));
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        };
        assert_eq!(status.code(), Some(130), "drctl {}", command.join(" "));
    }
}

#[test]
fn a_closed_pipe_does_not_hide_a_failure() {
    let stack = Stack::new();
    stack.configure("[network]\nnatt = 1\n");
    for args in [&["up", "--yes"][..], &["up", "--yes", "--json"], &["plan", "--json"]] {
        let mut child = stack
            .command(args)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("started");
        // Both pipes are closed before anything is written.
        drop((child.stdout.take(), child.stderr.take()));
        assert_eq!(child.wait().expect("ended").code(), Some(3), "drctl {}", args.join(" "));
    }
}

#[test]
fn protection_survives_a_run_that_is_killed() {
    let stack = Stack::new();
    stack.configure("[protection]\ndeletion = true\n");
    let mut command = stack.command(&["up", "--yes"]);
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut child = command.spawn().expect("started");
    let journal = stack.path("state/payment-dr-dev.journal");
    while !journal.exists() {
        assert!(child.try_wait().expect("its status").is_none(), "it ended before its first call");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    child.kill().expect("killed");
    child.wait().expect("reaped");
    std::fs::remove_file(stack.path("drctl.toml")).expect("removed");
    let snapshot =
        std::fs::read_to_string(stack.path("state/payment-dr-dev.json")).expect("written before the first call");
    assert!(snapshot.contains("\"protected\": true"), "{snapshot}");
}
