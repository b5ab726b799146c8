//! Starting and stopping the sandbox, and what it adds to the emulator.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use drctl_testkit::harness::{Ran, Stack};

/// A stack with a sandbox of its own, which is stopped when the test ends, however it ends.
struct Own(Stack);

impl Own {
    fn new() -> Self {
        Self(Stack::new())
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.0.run(args)
    }

    fn record(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.0.path("state/sandbox/sandbox.json")).expect("a record"))
            .expect("JSON")
    }

    fn pid(&self, name: &str) -> u64 {
        self.record()[name].as_u64().expect("a process")
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        drop(self.0.command(&["sandbox", "stop"]).output());
    }
}

fn is_alive(pid: u64) -> bool {
    // A zombie has ended; only its parent has not waited for it yet.
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[track_caller]
fn ends(pid: u64) {
    let until = Instant::now() + Duration::from_secs(10);
    while is_alive(pid) {
        assert!(Instant::now() < until, "process {pid} is still running");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The addresses that a process listens on, as /proc has them: hexadecimal, 0100007F is 127.0.0.1.
fn listens(pid: u64) -> Vec<String> {
    let sockets: Vec<String> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("its files")
        .filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok()?.to_str().map(str::to_owned))
        .filter_map(|target| Some(target.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let mut found = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let Ok(table) = std::fs::read_to_string(Path::new(table)) else { continue };
        for line in table.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            // 0A is LISTEN.
            if fields[3] == "0A" && sockets.iter().any(|inode| inode == fields[9]) {
                found.push(fields[1].split(':').next().unwrap_or_default().to_owned());
            }
        }
    }
    found
}

#[test]
fn the_sandbox_starts_with_any_command_and_ends_when_stopped() {
    let own = Own::new();
    own.run(&["sandbox", "status"]).exits(1).says("No sandbox is running");
    own.run(&["up", "--sandbox", "--yes"]).exits(0).says("Apply complete!");
    let (proxy, emulator) = (own.pid("pid"), own.pid("ministack_pid"));
    own.run(&["status", "--sandbox", "--all"]).exits(0).says("primary/vpc/main");
    assert_eq!(own.pid("pid"), proxy, "the next command must use the same sandbox");
    for pid in [proxy, emulator] {
        let addresses = listens(pid);
        assert!(!addresses.is_empty() && addresses.iter().all(|address| address == "0100007F"), "{addresses:?}");
    }
    own.run(&["down", "--sandbox", "--yes", "--no-final-snapshot"]).exits(0);
    own.run(&["sandbox", "stop"]).exits(0).says("stopped");
    ends(proxy);
    ends(emulator);
    own.run(&["sandbox", "stop"]).exits(0).says("No sandbox was running");
}

#[test]
fn a_crashed_sandbox_is_noticed_and_leaves_no_process() {
    let own = Own::new();
    own.run(&["sandbox", "start"]).exits(0);
    let (proxy, emulator) = (own.pid("pid"), own.pid("ministack_pid"));
    let kill = |pid: u64| {
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("not 0");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("killed");
    };
    kill(proxy);
    ends(proxy);
    ends(emulator);
    own.run(&["sandbox", "status"]).exits(1).says("crashed");
    own.run(&["sandbox", "start"]).exits(0);
    let (proxy, emulator) = (own.pid("pid"), own.pid("ministack_pid"));
    kill(emulator);
    ends(proxy);
    own.run(&["sandbox", "status"]).exits(1).says("crashed").says("MiniStack");
    own.run(&["plan", "--sandbox"]).exits(0);
}

/// The first command in backquotes that contains this word.
fn hinted(text: &str, word: &str) -> Vec<String> {
    let command = text.split('`').skip(1).step_by(2).find(|command| command.contains(word));
    command.unwrap_or_else(|| panic!("no command with {word} in\n{text}")).split(' ').map(str::to_owned).collect()
}

#[test]
fn a_pasted_hint_acts_on_the_stack_that_it_is_about() {
    let own = Own::new();
    own.run(&["up", "--sandbox", "--environment", "staging", "--yes"]).exits(0);
    let ran = own.run(&["down", "--sandbox", "--environment", "staging"]).exits(3).says("stdin is not a terminal");
    let command = hinted(&ran.stderr, "--yes");
    assert_eq!(command, ["drctl", "down", "--yes", "--sandbox", "--environment", "staging"]);
    // The same if a variable names the environment, and with --json.
    let mut by_variable = own.0.command(&["down", "--sandbox", "--json"]);
    let output = by_variable.env("ENVIRONMENT_SUFFIX", "staging").output().expect("run");
    let error: Value = serde_json::from_str(String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default())
        .expect("an error");
    assert_eq!(hinted(error["help"].as_str().expect("a help"), "--yes"), command);
    let pasted: Vec<&str> = command.iter().skip(1).map(String::as_str).collect();
    own.run(&pasted).exits(0).says("157 destroyed");
}

#[test]
fn a_running_sandbox_is_used_as_it_is_when_the_options_are_left_out() {
    let own = Own::new();
    own.run(&["sandbox", "start", "--pace", "aws", "--time-scale", "20"]).exits(0).says("`drctl sandbox stop`");
    let pid = own.pid("pid");
    own.run(&["sandbox", "start"]).exits(0).says("pace aws");
    own.run(&["sandbox", "start", "--time-scale", "20"]).exits(0);
    own.run(&["sandbox", "start", "--pace", "instant"]).exits(1).says("already running with pace aws");
    assert_eq!(own.pid("pid"), pid, "the sandbox must be the same one");
}

#[test]
fn a_running_sandbox_is_listed_and_ends_with_its_folder() {
    let own = Own::new();
    own.run(&["sandbox", "start"]).exits(0);
    let (proxy, emulator) = (own.pid("pid"), own.pid("ministack_pid"));
    let folder = std::fs::canonicalize(own.0.path("state/sandbox")).expect("a folder");
    own.run(&["sandbox", "list"]).exits(0).says(&format!("{}", folder.display())).says(&format!("process {proxy}"));
    let listed = own.run(&["sandbox", "list", "--json"]).exits(0).json();
    let is_listed = |row: &Value| row["pid"] == proxy && row["endpoint"].is_string();
    assert!(listed["sandboxes"].as_array().is_some_and(|rows| rows.iter().any(is_listed)), "{listed}");
    std::fs::remove_dir_all(own.0.path("state")).expect("removed");
    own.run(&["sandbox", "stop"]).exits(0);
    ends(proxy);
    ends(emulator);
}

#[test]
fn a_sandbox_whose_folder_is_removed_ends_by_itself() {
    let own = Own::new();
    own.run(&["sandbox", "start"]).exits(0);
    let (proxy, emulator) = (own.pid("pid"), own.pid("ministack_pid"));
    std::fs::remove_dir_all(own.0.path("state")).expect("removed");
    ends(proxy);
    ends(emulator);
}

#[test]
fn reset_empties_the_sandbox_and_up_rebuilds_the_stack() {
    let own = Own::new();
    own.run(&["up", "--sandbox", "--yes"]).exits(0);
    own.run(&["sandbox", "reset"]).exits(0);
    own.run(&["status", "--sandbox"])
        .exits(0)
        .says("159 missing")
        .says("DR: NOT READY – none of the 159 recorded resources exists");
    own.run(&["up", "--sandbox", "--yes"]).exits(0).says("159 added");
    own.run(&["plan", "--sandbox", "--detailed-exitcode"]).exits(0);
}

#[test]
fn at_the_pace_of_aws_resources_take_time_and_pass_through_their_states() {
    let own = Own::new();
    own.run(&["sandbox", "start", "--pace", "aws", "--time-scale", "60"]).exits(0);
    let began = Instant::now();
    let ran = own.run(&["up", "--sandbox", "--yes", "--json"]).exits(0);
    // Every run waits for a NAT gateway, which typically takes 105 s, here divided by 60.
    assert!(began.elapsed() > Duration::from_millis(1750), "{:?}", began.elapsed());
    let waited = |address: &str, on: &str| {
        ran.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).any(|event| {
            event["event"] == "waiting"
                && event["address"] == address
                && event["on"].as_str().unwrap_or_default().contains(on)
        })
    };
    assert!(waited("primary/nat_gateway/a", "pending"), "{}", ran.stdout);
    // States that last only a few milliseconds at this pace, such as a peering request that the accepter's Region does not
    // see yet, are tested in `sandbox::rules::pace` with a clock of its own.
    let ran = own.run(&["down", "--sandbox", "--yes", "--no-final-snapshot", "--json"]).exits(0);
    assert!(ran.stdout.contains("\"deleting\""), "a deleted NAT gateway lingers:\n{}", ran.stdout);
}

#[test]
fn a_silent_region_does_not_keep_the_other_from_answering() {
    let stack = Stack::new();
    stack.run(&["up", "--yes"]).exits(0);
    let silent = crate::faults::region_outage::RegionOutage::of("us-east-2");
    let began = Instant::now();
    let output = stack
        .command(&["status", "--json", "--timeout", "2"])
        .env("AWS_ENDPOINT_URL", &silent.url)
        .output()
        .expect("run");
    let took = began.elapsed();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let status: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let health = |address: &str| {
        let rows = status["resources"].as_array().expect("resources");
        rows.iter().find(|row| row["address"] == address).unwrap_or_else(|| panic!("{address}: {status:#}"))["health"]
            .clone()
    };
    assert_eq!(health("primary/vpc/main"), "present");
    assert_eq!(health("secondary/vpc/main"), "unknown");
    assert!(took < Duration::from_secs(5), "{took:?}");
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}
