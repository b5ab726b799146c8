//! No secret value reaches the state, a plan, a log, an event, or the argument list. The test looks for the generated
//! password in everything that drctl writes or shows at its most verbose.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use drctl_testkit::harness::Stack;

/// Everything that can be read of a run, by the place where it was read.
type Seen = BTreeMap<String, String>;

fn read_folder(folder: &Path, seen: &mut Seen) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            read_folder(&path, seen);
        } else if let Ok(bytes) = std::fs::read(&path) {
            // Appended to what was read before, because the journal no longer exists at the end of the run.
            seen.entry(path.display().to_string()).or_default().push_str(&String::from_utf8_lossy(&bytes));
        }
    }
}

/// Runs drctl, and watches it from outside as another user of the machine could.
fn watched(stack: &Stack, args: &[&str]) -> Seen {
    let mut child = stack
        .command(args)
        .env("RUST_LOG", "trace")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("drctl starts");
    let (mut stdout, mut stderr) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).expect("UTF-8");
        text
    });
    let logs = std::thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).expect("UTF-8");
        text
    });
    let mut seen = Seen::new();
    let status = loop {
        for file in ["cmdline", "environ"] {
            let path = format!("/proc/{}/{file}", child.id());
            seen.entry(file.to_owned()).or_default().push_str(&std::fs::read_to_string(path).unwrap_or_default());
        }
        read_folder(&stack.path("state"), &mut seen);
        if let Some(status) = child.try_wait().expect("a status") {
            break status;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    seen.insert("stdout".to_owned(), reader.join().expect("read"));
    seen.insert("stderr".to_owned(), logs.join().expect("read"));
    assert!(status.success(), "{}", seen["stdout"]);
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn the_password_is_only_in_secrets_manager_and_rds() {
    let stack = Stack::new();
    let mut seen = watched(&stack, &["up", "--yes", "--json", "-vvv"]);
    for (name, args) in [("plan", &["plan", "--json", "--full", "-vvv"][..]), ("outputs", &["outputs", "-vvv"])] {
        for (place, text) in watched(&stack, args) {
            seen.insert(format!("{name}: {place}"), text);
        }
    }
    let secrets = aws_sdk_secretsmanager::Client::new(&stack.sdk("us-east-1").await);
    let value = secrets.get_secret_value().secret_id("payment-dr-dev-database").send().await.expect("the secret");
    let value: serde_json::Value = serde_json::from_str(value.secret_string().expect("text")).expect("JSON");
    let password = value["password"].as_str().expect("a password");
    assert!(password.len() >= 32, "{} characters", password.len());
    assert!(password.bytes().all(|byte| byte.is_ascii_alphanumeric()), "letters and digits");

    // The search covers what it is meant to cover: the log mentions the calls that carry the value, and the journal was read.
    assert!(
        seen["stderr"].contains("CreateSecret") && seen["stderr"].contains("CreateDBCluster"),
        "the log does not mention the calls"
    );
    assert!(seen.keys().any(|place| place.ends_with(".journal")), "{:?}", seen.keys());
    assert!(seen["cmdline"].contains("--json"));
    let encoded = hex::encode(password);
    let bytes = format!("{:?}", password.as_bytes());
    let bytes = bytes.trim_matches(['[', ']']);
    for (place, text) in &seen {
        for form in [password, &encoded, bytes] {
            assert!(!text.contains(form), "the password is in {place}");
        }
    }
}
