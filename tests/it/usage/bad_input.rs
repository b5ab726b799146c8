//! Bad input and bad circumstances: what is reported, the exit code, and that nothing was changed.

use std::os::unix::fs::PermissionsExt as _;

use drctl_testkit::harness::{Stack, drctl};

#[test]
fn an_unknown_key_is_refused_with_its_place_and_a_suggestion() {
    let stack = Stack::new();
    stack.configure("[network]\nnatt = \"single\"\n");
    stack.run(&["plan"]).exits(3).says("drctl.toml:2:1").says("natt").says("Did you mean `nat`?");
}

#[test]
fn overlapping_ranges_are_refused_before_any_call() {
    let stack = Stack::new();
    stack.configure("[network]\nprimary_cidr = \"10.0.0.0/16\"\nsecondary_cidr = \"10.0.0.0/16\"\n");
    stack.run(&["up", "--yes"]).exits(3).says("overlap").says("drctl.toml:3");
    assert_eq!(stack.calls().len(), 0);
}

#[test]
fn the_same_region_twice_is_refused_before_any_call() {
    let stack = Stack::new();
    stack.configure("[regions]\nprimary = \"us-east-2\"\n");
    stack.run(&["up", "--yes"]).exits(3).says("us-east-2").says("drctl.toml:2");
    assert_eq!(stack.calls().len(), 0);
}

#[test]
fn an_unwritable_state_folder_is_reported_before_anything_is_created() {
    let stack = Stack::new();
    // A file where the folder should be is refused even for root, who may write anywhere.
    std::fs::write(stack.path("state"), "").expect("written");
    stack.run(&["up", "--yes"]).exits(4).says("state").says("--state-dir");
    assert!(stack.calls().iter().all(|call| !is_mutating(call)), "{:?}", stack.calls());
}

/// Runs drctl under a limit on the size of each file that it writes. Beyond the limit, the kernel answers EFBIG, where a
/// full disk or quota would answer ENOSPC or EDQUOT (the tests of `state::journal` cover ENOSPC with /dev/full).
fn with_little_disk(stack: &Stack, kilobytes: u32) -> std::process::Output {
    let command = stack.command(&["up", "--yes"]);
    let mut shell = std::process::Command::new("bash");
    shell.args(["-c", &format!("trap '' XFSZ; ulimit -f {kilobytes}; exec \"$0\" up --yes"), drctl()]);
    shell.env_clear().envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    shell.current_dir(stack.path("")).output().expect("run")
}

#[test]
fn nothing_is_created_on_a_disk_that_is_full_from_the_start() {
    let stack = Stack::new();
    let output = with_little_disk(&stack, 0);
    let stderr = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    assert!(stderr.contains("The disk is full"), "{stderr}");
    assert!(stack.calls().iter().all(|call| !is_mutating(call)), "nothing may be created without an intent on disk");
    stack.run(&["up", "--yes"]).exits(0);
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}

#[test]
fn a_disk_that_fills_up_during_a_run_stops_it_and_the_next_run_continues() {
    let stack = Stack::new();
    let output = with_little_disk(&stack, 16);
    let text = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(output.status.code(), Some(4), "{text}");
    assert!(text.contains("disk is full"), "{text}");
    assert!(stack.calls().iter().any(is_mutating), "the disk must fill up only after something was created");
    stack.run(&["up", "--yes"]).exits(0);
    stack.run(&["plan", "--detailed-exitcode"]).exits(0);
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}

#[test]
fn the_state_of_another_stack_is_refused() {
    let stack = Stack::new();
    stack.run(&["up", "--yes"]).exits(0);
    let other = Stack::new();
    std::fs::create_dir(other.path("state")).expect("made");
    std::fs::copy(stack.path("state/payment-dr-dev.json"), other.path("state/payment-dr-dev.json")).expect("copied");
    other.run(&["up", "--yes"]).exits(4).says("another account").says(&stack.account).says("Nothing was changed");
    other.run(&["down", "--yes"]).exits(4).says("another account");
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}

#[test]
fn an_unreadable_state_is_reported_with_its_file_and_not_touched() {
    let stack = Stack::new();
    stack.run(&["up", "--yes"]).exits(0);
    let path = stack.path("state/payment-dr-dev.json");
    let whole = std::fs::read_to_string(&path).expect("read");
    let cases = [
        (String::new(), "the file is empty"),
        (whole[..whole.len() / 2].to_owned(), "EOF while parsing"),
        (whole.replacen("\"format\": 1", "\"format\": 99", 1), "format 99"),
        ("{}".to_owned(), "missing field `format`"),
    ];
    for (text, reason) in cases {
        std::fs::write(&path, &text).expect("written");
        stack.run(&["up", "--yes"]).exits(4).says(reason).says("payment-dr-dev.json").says("Nothing was changed");
        assert_eq!(std::fs::read_to_string(&path).expect("read"), text, "the file must not be touched");
    }
    std::fs::write(&path, whole).expect("written");
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}

#[test]
fn missing_credentials_are_reported_with_what_to_set() {
    let stack = Stack::new();
    let mut command = stack.command(&["plan"]);
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    let output = command.output().expect("run");
    let stderr = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(output.status.code(), Some(5), "{stderr}");
    assert!(stderr.contains("credentials") && stderr.contains("AWS_PROFILE"), "{stderr}");
}

#[test]
fn expired_credentials_are_reported_with_how_to_renew_them() {
    let stack = Stack::new();
    let server = Refusing::start(
        "HTTP/1.1 403 Forbidden\r\nContent-Type: text/xml\r\nx-amzn-requestid: 11111111-2222\r\n",
        "<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredToken</Code><Message>The security token included in the \
         request is expired</Message></Error><RequestId>11111111-2222</RequestId></ErrorResponse>",
    );
    let output = stack.command(&["plan"]).env("AWS_ENDPOINT_URL", &server.url).output().expect("run");
    let stderr = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(output.status.code(), Some(5), "{stderr}");
    assert!(
        stderr.contains("ExpiredToken") && stderr.contains("11111111-2222") && stderr.contains("aws sso login"),
        "{stderr}"
    );
}

#[test]
fn an_endpoint_that_does_not_answer_is_named() {
    let stack = Stack::new();
    // The port was bound and closed again: nothing listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let url = format!("http://127.0.0.1:{port}");
    let output = stack.command(&["up", "--yes"]).env("AWS_ENDPOINT_URL", &url).output().expect("run");
    let stderr = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains(&url) && stderr.contains("AWS_ENDPOINT_URL"), "{stderr}");
}

#[test]
fn a_run_that_holds_the_lock_is_named() {
    let stack = Stack::new();
    std::fs::create_dir(stack.path("state")).expect("made");
    let path = stack.path("state/payment-dr-dev.lock");
    std::fs::write(&path, r#"{"pid":4711,"host":"ops-1","command":"up","since":"2026-11-23T03:00:00Z"}"#)
        .expect("written");
    let held = std::fs::File::open(&path).expect("opened");
    held.lock().expect("locked");
    stack.run(&["up", "--yes"]).exits(4).says("`drctl up` (process 4711 on ops-1").says("freed by the kernel");
    stack.run(&["plan"]).exits(0);
    drop(held);
    stack.run(&["up", "--yes"]).exits(0);
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0);
}

#[test]
fn a_missing_python_is_reported_with_what_to_install() {
    let stack = Stack::new();
    let empty = stack.path("bin");
    std::fs::create_dir(&empty).expect("made");
    std::fs::set_permissions(&empty, std::fs::Permissions::from_mode(0o755)).expect("set");
    let output = stack
        .command(&["plan", "--sandbox"])
        .env_remove("AWS_ENDPOINT_URL")
        .env("PATH", &empty)
        .env("XDG_CACHE_HOME", stack.path("cache"))
        .output()
        .expect("run");
    let stderr = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("Python") && stderr.contains("3.10"), "{stderr}");
}

#[test]
fn bad_usage_exits_with_3_and_help_with_0() {
    let code = |args: &[&str]| std::process::Command::new(drctl()).args(args).output().expect("run").status.code();
    assert_eq!(code(&["frobnicate"]), Some(3));
    assert_eq!(code(&["state", "show", "not-an-address"]), Some(3));
    assert_eq!(code(&["--help"]), Some(0));
    assert_eq!(code(&["up", "--help"]), Some(0));
}

/// What drctl prints on stderr, with its frames and line breaks.
fn stderr(stack: &Stack, args: &[&str], code: i32) -> String {
    let ran = stack.run(args).exits(code);
    ran.stderr
}

#[test]
fn invalid_sandbox_options_are_bad_usage_and_a_dead_emulator_is_not_ready() {
    let stack = Stack::new();
    let missing = stderr(&stack, &["sandbox", "start", "--faults", "nope.toml"], 3);
    assert!(missing.contains("nope.toml cannot be read") && !missing.contains("disk"), "{missing}");
    std::fs::write(stack.path("bad.toml"), "[[fault]]\ndoes = 1\n").expect("written");
    stderr(&stack, &["sandbox", "start", "--faults", "bad.toml"], 3);
    stderr(&stack, &["sandbox", "start", "--upstream", "notaurl"], 3);
    stack.run(&["status", "--timeout", "abc"]).exits(3).says("whole number from 1 to 600");
    let dead = stderr(&stack, &["sandbox", "start", "--upstream", "http://127.0.0.1:1"], 1);
    assert!(dead.contains("nothing answers at http://127.0.0.1:1") && !dead.contains("is ready"), "{dead}");
}

#[test]
fn an_invalid_state_folder_is_a_state_error() {
    let stack = Stack::new();
    std::fs::write(stack.path("file"), "").expect("written");
    for folder in ["file", "/proc/no-such-folder"] {
        for command in [&["up", "--yes"][..], &["plan", "--sandbox"], &["sandbox", "start"]] {
            let args = [command, &["--state-dir", folder]].concat();
            stack.run(&args).exits(4).says("--state-dir");
        }
    }
}

#[test]
fn a_cause_is_reported_once_and_with_json_only_on_stdout() {
    let stack = Stack::new();
    let args = ["simulate", "--html", "/no/such/folder/page.html"];
    let text = stderr(&stack, &args, 1);
    assert_eq!(text.matches("No such file").count(), 1, "{text}");
    let ran = stack.run(&[&args[..], &["--json"]].concat()).exits(1);
    assert_eq!(ran.stderr, "", "with --json, everything is on stdout");
    let json = ran.json();
    assert_eq!(json["event"], "error");
    assert!(json["message"].as_str().is_some_and(|message| message.contains("No such file")), "{json}");
    assert!(json["at"].as_str().is_some_and(|at| at.ends_with('Z')), "{json}");
    for args in
        [&["plan", "--json", "--timeout", "0"][..], &["state", "rm", "foo", "--json"], &["plan", "--jsno", "--json"]]
    {
        let ran = stack.run(args).exits(3);
        let json = ran.json();
        assert_eq!(
            (ran.stderr.as_str(), &json["event"], &json["exit_code"]),
            ("", &"error".into(), &3.into()),
            "{json}"
        );
    }
    assert_eq!(stack.run(&["plan", "--timeout", "0"]).exits(3).stdout, "");
}

#[test]
fn a_run_with_nothing_to_do_says_so_in_json() {
    let stack = Stack::new();
    for args in [&["down", "--yes", "--json"][..], &["orphans", "--delete", "--yes", "--json"]] {
        let ran = stack.run(args).exits(0);
        let last: serde_json::Value = serde_json::from_str(ran.stdout.lines().last().expect("a line")).expect("JSON");
        assert_eq!(last["event"], "nothing_to_do", "{}", ran.stdout);
        assert!(last["message"].as_str().is_some_and(|message| !message.is_empty()), "{last}");
    }
}

#[test]
fn a_package_that_does_not_exist_is_reported_where_it_is_named() {
    let stack = Stack::new();
    stack.configure("[lambda]\nhandler = \"a.b\"\npackage = \"nowhere.zip\"\n");
    for command in [&["plan"][..], &["simulate"]] {
        let refused = stack.run(command).exits(3).says("drctl.toml:3:11").says("nowhere.zip cannot be read");
        refused.says("Nothing was changed");
    }
    let json = stack.run(&["plan", "--json"]).exits(3).json();
    assert_eq!(json["problems"][0]["location"]["line"], 3, "{json}");
}

#[test]
fn nothing_of_a_binary_file_is_shown() {
    let stack = Stack::new();
    let text = stderr(&stack, &["plan", "--config", drctl()], 3);
    assert!(text.contains("is not a text file") && text.len() < 1000, "{} bytes: {text:.1000}", text.len());
    // What is proposed does not overwrite that file.
    assert!(text.contains("`drctl init --config new.toml`"), "{text}");
}

#[test]
fn a_damaged_state_names_only_a_backup_that_exists_and_breaks_no_path() {
    let stack = Stack::new();
    let folder = "a-folder-with-a-name/that-is-so-long-that-a-line/of-a-hundred-columns/does-not-hold/much-more";
    std::fs::create_dir_all(stack.path(folder)).expect("made");
    let path = format!("{folder}/payment-dr-dev.json");
    std::fs::write(stack.path(&path), "").expect("written");
    let plan = ["plan", "--state-dir", folder];
    let text = stderr(&stack, &plan, 4);
    assert!(text.contains(&path) && !text.contains(".bak"), "{text}");
    let adopt = format!("`drctl orphans --adopt --state-dir {folder}`");
    assert!(text.contains(&adopt), "{adopt} is not on one line in\n{text}");
    std::fs::write(stack.path(&format!("{path}.bak")), "{}").expect("written");
    let text = stderr(&stack, &plan, 4);
    assert!(text.contains(&format!("{path}.bak")), "{text}");
}

#[test]
fn down_without_a_stack_has_nothing_to_do_and_overlooks_no_other_stack() {
    let stack = Stack::new();
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0).says("Nothing to delete");
    stack.run(&["down", "--yes", "--state-dir", "misspelt"]).exits(3).says("there is no state");
    std::fs::create_dir_all(stack.path("state/sandbox")).expect("made");
    stack.run(&["down", "--yes", "--no-final-snapshot"]).exits(0).says("Nothing to delete");
    std::fs::write(stack.path("state/sandbox/payment-dr-dev.json"), "{}").expect("written");
    stack.run(&["down", "--yes"]).exits(3).says("There is one in state/sandbox: add --sandbox");
    std::fs::remove_file(stack.path("state/sandbox/payment-dr-dev.json")).expect("removed");
    std::fs::write(stack.path("state/payment-dr-prod.json"), "{}").expect("written");
    // Without a configuration, the only state there is would be what is meant.
    stack.run(&["down", "--yes", "--environment", "dev"]).exits(3).says("There are states for payment-dr-prod");
    stack.run(&["down", "--yes", "--sandbox"]).exits(0).says("Nothing to delete");
    assert!(stack.calls().is_empty(), "no call may be made");
}

#[test]
fn commands_of_other_tools_are_understood() {
    let stack = Stack::new();
    stack.run(&["destroy", "--yes"]).exits(0).says("Nothing to delete");
    stack.run(&["apply", "--help"]).exits(0).says("drctl up --sandbox");
    stack.run(&["version"]).exits(0).says(&format!("drctl {}", env!("CARGO_PKG_VERSION")));
}

fn is_mutating(call: &serde_json::Value) -> bool {
    let operation = call["operation"].as_str().unwrap_or_default();
    !["Describe", "List", "Get"].iter().any(|prefix| operation.starts_with(prefix))
}

/// A server that gives every request the same answer.
struct Refusing {
    url: String,
}

impl Refusing {
    fn start(head: &'static str, body: &'static str) -> Self {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        // The thread ends with the test's process. Nothing else can reach a loopback port that only this test knows.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let mut request = [0; 16384];
                if stream.read(&mut request).is_ok() {
                    let answer = format!("{head}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
                    drop(stream.write_all(answer.as_bytes()));
                }
            }
        });
        Self { url }
    }
}
